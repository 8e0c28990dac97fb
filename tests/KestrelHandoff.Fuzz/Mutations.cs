using System.Text;
using CsCheck;

namespace KestrelHandoff.Fuzz;

/// <summary>Ways to spoil a message. Places are any number; they are taken modulo the length that the bytes have by then.</summary>
internal static class Mutations
{
    private static readonly byte[][] Golden = Resources.Golden();

    private static readonly byte[][] GoldenProperties =
        [.. Golden.SelectMany(json => Json.Properties(json).Select(property => json[property.Start..property.End])).DistinctBy(Convert.ToHexString)];

    /// <summary>Values of every kind: the wrong type, out of range, no text, no base64.</summary>
    private static readonly byte[][] Values =
    [
        .. new[]
        {
            "null", "true", "false", "0", "-1", "-0", "1.5", "1e999", "2147483648", "99999999999999999999", "01", "NaN", "\"\"", "\"1\"",
            "\"AA\"", "\"AAAA=\"", "\"hello\"", "\"offer\"", "\"nope\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\u0000\"", "\"\\q\"",
            "\"\\ud83d\\ude00\"", "[]", "[null]", "[[]]", "[{}]", "{}", "{\"x\":null}", "\"00000000-0000-0000-0000-000000000000\"",
            "\"{01234567-89ab-cdef-0123-456789abcdef}\"", "",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    /// <summary>Pieces that mean something to a parser, and bytes that are no UTF-8.</summary>
    private static readonly byte[][] Pieces =
    [
        .. new[]
        {
            "{", "}", "[", "]", ",", ":", "\"", "\\", "/* */", "//\n", " ", "\r\n\t", "\0", "\ufeff", "\\u", "\\ud800", "\\udfff",
            "\"type\":\"commit\",", "\"type\":1,", "\"$type\":\"hello\",", "\"$id\":\"1\",", "\"$ref\":\"1\",", "\"$values\":[],",
            "\"\\ud800\":1,", "\"\":0,", "\"TYPE\":\"hello\",", "\"\\u0074ype\":\"abort\",",
        }.Select(Encoding.UTF8.GetBytes),
        [0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0x80], [0xf4, 0x90, 0x80, 0x80],
    ];

    private static readonly Gen<uint> Place = Gen.UInt;

    private static readonly Gen<Func<byte[], byte[]>> One = Gen.Frequency<Func<byte[], byte[]>>(
        (3, Gen.Select(Place, Gen.Int[0, 7], (place, bit) => Change(json => { json[At(json, place)] ^= (byte)(1 << bit); }))),
        (3, Gen.Select(Place, Gen.Byte, (place, value) => Change(json => { json[At(json, place)] = value; }))),
        (3, Gen.Select(Place, Gen.Byte.Array[1, 8], (place, bytes) => Insert(place, bytes))),
        (6, Gen.Select(Place, Gen.OneOf(Pieces), (place, bytes) => Insert(place, bytes))),
        (3, Gen.Select(Place, Gen.Int[1, 12], (place, count) => Cut(place, count))),
        (2, Gen.Select(Place, (Func<uint, Func<byte[], byte[]>>)(place => json => json[..At(json, place)]))),
        (2, Gen.Select(Place, Gen.Int[1, 40], Gen.Int[1, 8], Repeat)),
        (2, Gen.Select(Place, Place, Gen.OneOf(Golden), Splice)),
        (8, Gen.Select(Place, Gen.OneOf(Values), (place, value) => Replace(place, _ => value, fromName: false))),
        (6, Gen.Select(Place, Gen.OneOf(GoldenProperties), (place, other) => Replace(place, _ => other, fromName: true))),
        (6, Gen.Select(Place, Gen.OneOf(GoldenProperties), (place, other) => Replace(place, own => [.. own, (byte)',', .. other], fromName: true))),
        (4, Place.Select(place => Replace(place, own => [.. own, (byte)',', .. own], fromName: true))),
        (3, Gen.Select(Place, Gen.Int[1, 12], Gen.Bool, Nest)),
        (1, Gen.Select(Place, Gen.Int[200, 6000], Gen.OneOf("a", "ä", "\\n", "\u0001", "😀"), Fill)));

    /// <summary>Rare, for they cost as much as hundreds of others: a depth or a length beyond all limits.</summary>
    private static readonly Gen<Func<byte[], byte[]>> Huge = Gen.OneOf(
        Gen.Select(Place, Gen.Int[1000, 100_000], Gen.Bool, Nest),
        Gen.Select(Place, Gen.Int[100_000, 1_100_000], Gen.OneOf("a", "\\u0000", "ä", "[],"), Fill));

    /// <summary>The JSON of a valid message.</summary>
    public static Gen<byte[]> Valid { get; } = Gen.OneOf(Golden);

    /// <summary>What a peer might send as the body of a message: seldom valid, often nearly.</summary>
    public static Gen<byte[]> Body { get; } = Gen.Frequency(
        (3000, Gen.Select(Valid, One.Array[1, 4], Apply)),
        (150, Valid),
        (150, Gen.Byte.Array[0, 120]),
        (1, Gen.Select(Valid, Huge.Array[1], Apply)));

    private static byte[] Apply(byte[] json, Func<byte[], byte[]>[] mutations) =>
        mutations.Aggregate(json, (changed, mutation) => changed.Length == 0 ? changed : mutation(changed));

    private static int At(byte[] json, uint place) => (int)(place % (uint)json.Length);

    private static Func<byte[], byte[]> Change(Action<byte[]> change) => json =>
    {
        var copy = json.ToArray();
        change(copy);
        return copy;
    };

    private static Func<byte[], byte[]> Insert(uint place, byte[] bytes) => json =>
        [.. json.AsSpan(0, At(json, place)), .. bytes, .. json.AsSpan(At(json, place))];

    private static Func<byte[], byte[]> Cut(uint place, int count) => json =>
        [.. json.AsSpan(0, At(json, place)), .. json.AsSpan(Math.Min(At(json, place) + count, json.Length))];

    private static Func<byte[], byte[]> Repeat(uint place, int length, int times) => json =>
    {
        var (start, end) = (At(json, place), Math.Min(At(json, place) + length, json.Length));
        return [.. json.AsSpan(0, end), .. Enumerable.Repeat(json[start..end], times).SelectMany(bytes => bytes), .. json.AsSpan(end)];
    };

    private static Func<byte[], byte[]> Splice(uint place, uint otherPlace, byte[] other) => json =>
        [.. json.AsSpan(0, At(json, place)), .. other.AsSpan(At(other, otherPlace))];

    private static Func<byte[], byte[]> Nest(uint place, int depth, bool objects)
    {
        var (open, close) = objects ? ("{\"a\":", "}") : ("[", "]");
        return Replace(place, own => [.. Times(open, depth), .. own, .. Times(close, depth)], fromName: false);
    }

    private static Func<byte[], byte[]> Fill(uint place, int times, string text) => Insert(place, Times(text, times));

    private static byte[] Times(string text, int times) => Encoding.UTF8.GetBytes(new StringBuilder().Insert(0, text, times).ToString());

    /// <summary>Puts something in the place of a property, or of its value.</summary>
    private static Func<byte[], byte[]> Replace(uint place, Func<byte[], byte[]> by, bool fromName) => json =>
    {
        var properties = Json.Properties(json);
        if (properties.Count == 0)
        {
            return json;
        }

        var property = properties[(int)(place % (uint)properties.Count)];
        var start = fromName ? property.Start : property.Value;
        return [.. json.AsSpan(0, start), .. by(json[start..property.End]), .. json.AsSpan(property.End)];
    };
}
