using CsCheck;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

/// <summary>Whatever bytes come, the codec gives a message or a ControlException: nothing a peer sends can end this instance.</summary>
public sealed class MessageCodecPropertyTests
{
    private static readonly byte[][] Valid = [.. Messages.All.Select(entry => MessageCodec.Encode(entry.Message)[ControlProtocol.HeaderLength..])];

    private static readonly Gen<string> Text = Gen.String[Gen.Char['\0', '\ud7ff'], 0, 40];

    [Fact]
    public void Decode_RandomBytes_NeverThrowsAnythingElse() => Gen.Byte.Array[0, 200].Sample(AssertDecodesOrRefuses);

    [Fact]
    public void Decode_ValidMessageWithRandomBytesInIt_NeverThrowsAnythingElse() =>
        Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Int[0, 300], Gen.Byte.Array[1, 8], Gen.Int[0, 8]).Sample((index, at, bytes, cut) =>
        {
            var json = Valid[index];
            var start = Math.Min(at, json.Length);
            AssertDecodesOrRefuses([.. json[..start], .. bytes, .. json[Math.Min(start + cut, json.Length)..]]);
        });

    [Fact]
    public void Decode_RandomTokensOfJson_NeverThrowsAnythingElse()
    {
        string[] tokens =
        [
            "{", "}", "[", "]", ",", ":", "null", "true", "1", "-0.5e9", "\"type\":", "\"hello\"", "\"probe\"", "\"offer\"", "\"listeners\":",
            "\"listener\":", "\"last\":true", "\"\\ud800\"", "\"\\u0000\"", "\"$ref\":", "\"$id\":",
        ];
        Gen.Int[0, tokens.Length - 1].Array[1, 16].Sample(picked => AssertDecodesOrRefuses(
            System.Text.Encoding.UTF8.GetBytes("{\"type\":\"probe\"," + string.Concat(picked.Select(index => tokens[index])))));
    }

    [Fact]
    public void Decode_EveryTruncation_IsRefused() => Assert.All(Valid, json =>
    {
        for (var length = 0; length < json.Length; length++)
        {
            Assert.Throws<ControlException>(() => MessageCodec.Decode(json.AsSpan(0, length)));
        }
    });

    [Fact]
    public void Decode_EveryFlippedBit_NeverThrowsAnythingElse() => Assert.All(Valid, json =>
    {
        for (var bit = 0; bit < json.Length * 8; bit++)
        {
            var flipped = json.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            AssertDecodesOrRefuses(flipped);
        }
    });

    [Fact]
    public void DecodeLength_AnyHeader_IsInRangeOrRefused() => Gen.Byte.Array[4].Sample(header =>
    {
        try
        {
            Assert.InRange(MessageCodec.DecodeLength(header), 1, ControlProtocol.MaxMessageLength);
        }
        catch (ControlException e)
        {
            Assert.Equal(ControlProtocol.Reasons.Malformed, e.Reason);
        }
    });

    [Fact]
    public void RoundTrip_AnyText_ComesBack() => Gen.Select(Text, Text, Text.Array[0, 4]).Sample((one, two, several) =>
    {
        AssertRoundTrip(new Refuse(one, two));
        AssertRoundTrip(new Hello(1, 1, 1) { Token = one, Capabilities = several });
        AssertRoundTrip(new Offer([.. several.Select(text => new OfferedListener(text, one, true))], true));
        AssertRoundTrip(new Ready([.. several.Select(text => new ReadyListener(text, one) { AdoptedFrom = two })]));
    });

    private static void AssertRoundTrip(ControlMessage message) =>
        Assert.Equivalent(message, MessageCodec.Decode(MessageCodec.Encode(message).AsSpan(ControlProtocol.HeaderLength)), strict: true);

    private static void AssertDecodesOrRefuses(byte[] json)
    {
        try
        {
            Assert.NotNull(MessageCodec.Decode(json));
        }
        catch (ControlException e)
        {
            Assert.Contains(e.Reason, (string[])[ControlProtocol.Reasons.Malformed, ControlProtocol.Reasons.UnknownMessage]);
        }
    }
}
