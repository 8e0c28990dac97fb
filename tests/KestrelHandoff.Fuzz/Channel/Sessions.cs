using CsCheck;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Fuzz.Channel;

/// <summary>Makes sessions: valid ones in any pieces, and all that can be wrong with messages and their descriptors.</summary>
internal static class Sessions
{
    private const int ByteWise = 700; // frames up to this length may come byte by byte

    private static readonly byte[] Hello = Frame(new Hello(ControlProtocol.Version, ControlProtocol.MinVersion, 42));

    private static readonly Gen<int> AnyDescriptors = Gen.Frequency(
        (4, Gen.Int[0, 3]), (2, Gen.OneOf(252, 253, 254, 255, 506, 507, 600)), (1, Gen.Int[4, 600]));

    /// <summary>A frame as the protocol wants it.</summary>
    private static readonly Gen<Part> Right = Gen.Frequency(
        (20, Frames.Valid.Select(frame => new Part(frame, DescriptorsOf(frame), 0, true))),
        (1, Gen.Int[1, 300_000].Select(length => new Part(Frame(new Abort(new string('a', length))), 0, 0, true))));

    private static readonly Gen<Part> Wrong = Gen.Frequency(
        (3, Frames.Spoilt.Select(frame => new Part(frame, 0, 0, false))),
        (2, Gen.Select(Frames.Spoilt, AnyDescriptors, (frame, count) => new Part(frame, count, 0, false))),
        (2, Gen.Select(Frames.Misjudged, AnyDescriptors, (frame, count) => new Part(frame, count, 0, false))),
        (3, Gen.Select(Frames.Valid, AnyDescriptors, (frame, count) => new Part(frame, count, 0, false))),
        (3, Gen.Select(Frames.Valid, Gen.UInt, (frame, at) => new Part(frame, DescriptorsOf(frame), (int)(at % (uint)frame.Length), false))),
        (2, Gen.Select(Frames.Valid, AnyDescriptors, Gen.UInt, (frame, count, at) => new Part(frame, count, (int)(at % (uint)frame.Length), false))),
        (2, Gen.Select(Right, Gen.UInt, (part, at) => part with { Bytes = part.Bytes[..(int)(at % (uint)part.Bytes.Length)], IsRight = false })));

    private static readonly Gen<Part[]> First = Gen.Frequency(
        (9, Gen.Const(new[] { new Part(Hello, 0, 0, true) })),
        (1, Wrong.Select(part => new[] { part })));

    private static readonly Gen<Part[]> Last = Gen.Frequency((1, Right.Array[0, 2]), (2, Wrong.Array[1, 2]));

    private static readonly Gen<Part[]> Parts =
        Gen.Select(First, Right.Array[0, 4], Last, (first, then, last) => (Part[])[.. first, .. then, .. last]);

    /// <summary>Whole frames, frames in pieces, or byte by byte.</summary>
    private static readonly Gen<int> Pieces = Gen.Frequency((6, Gen.Const(1)), (3, Gen.Int[2, 6]), (1, Gen.Const(int.MaxValue)));

    public static Gen<Session> Any { get; } = Gen.Select(Parts, Pieces, Gen.Frequency((3, Gen.Const(false)), (1, Gen.Const(true))), Create);

    /// <summary>All there is, as it should be.</summary>
    public static Session Good { get; } = Create(
        [
            new(Hello, 0, 0, true),
            .. Resources.Golden().Select(body => MessageCodec.Decode(body)).Select(message => new Part(Frame(message), message.DescriptorCount, 0, true)),
        ],
        1,
        abrupt: false);

    private static Session Create(Part[] parts, int pieces, bool abrupt) => new(
        [.. parts.SelectMany(part => Split(part, pieces))],
        abrupt,
        parts.All(part => part.IsRight) && !abrupt ? parts.Length - 1 : null);

    private static IEnumerable<Step> Split(Part part, int pieces)
    {
        var size = pieces == int.MaxValue && part.Bytes.Length <= ByteWise ? 1 : (part.Bytes.Length / Math.Min(pieces, 64)) + 1;
        for (var at = 0; at < part.Bytes.Length;)
        {
            // A send with descriptors begins where they belong: the kernel ties them to its first byte.
            var end = Math.Min(at + size, at < part.Place && part.Descriptors > 0 ? part.Place : part.Bytes.Length);
            end = Math.Min(end, part.Bytes.Length);
            yield return new(at == part.Place ? part.Descriptors : 0, part.Bytes[at..end]);
            at = end;
        }
    }

    private static byte[] Frame(ControlMessage message) => MessageCodec.Encode(message);

    private static int DescriptorsOf(byte[] frame) => MessageCodec.Decode(frame.AsSpan(ControlProtocol.HeaderLength)).DescriptorCount;

    /// <summary>A frame, or what is to be one, with descriptors at the byte <c>Place</c>.</summary>
    private sealed record Part(byte[] Bytes, int Descriptors, int Place, bool IsRight);
}
