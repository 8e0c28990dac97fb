using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Fuzz.Codec;

/// <summary>What must hold of any bytes that a peer sends.</summary>
internal static class CodecCheck
{
    public const string Decoded = "decoded";

    private const int FewWords = 1000;

    /// <summary>The reason of the refusal, or <see cref="Decoded"/>.</summary>
    /// <exception cref="FuzzFailure">Something else happened.</exception>
    public static string Check(ReadOnlySpan<byte> frame)
    {
        try
        {
            CheckLength(frame[..ControlProtocol.HeaderLength]);
            return CheckBody(frame[ControlProtocol.HeaderLength..]);
        }
        catch (Exception e) when (e is not FuzzFailure)
        {
            throw new FuzzFailure($"The codec threw what it must not: {e}");
        }
    }

    private static void CheckLength(ReadOnlySpan<byte> header)
    {
        try
        {
            Require(MessageCodec.DecodeLength(header) is > 0 and <= ControlProtocol.MaxMessageLength, "A length out of its range was taken.");
        }
        catch (ControlException e)
        {
            Require(e.Reason == ControlProtocol.Reasons.Malformed, $"A length was refused as {e.Reason}.");
        }
    }

    private static string CheckBody(ReadOnlySpan<byte> json)
    {
        ControlMessage message;
        try
        {
            message = MessageCodec.Decode(json);
        }
        catch (ControlException e)
        {
            Require(e.Reason is ControlProtocol.Reasons.Malformed or ControlProtocol.Reasons.UnknownMessage, $"A body was refused as {e.Reason}.");
            Require(e.Message.Length <= FewWords, $"The refusal has {e.Message.Length} characters.");
            MessageCodec.Encode(new Refuse(e.Reason, e.Message)); // a refusal that cannot be sent leaves the peer without a word
            return e.Reason;
        }

        Require(message.DescriptorCount >= 0, "A message takes less than no descriptors.");
        byte[] once;
        try
        {
            once = MessageCodec.Encode(message);
        }
        catch (ControlException)
        {
            return Decoded; // escapes have made it longer than a message may be
        }

        var again = MessageCodec.Encode(MessageCodec.Decode(once.AsSpan(ControlProtocol.HeaderLength)));
        Require(once.AsSpan().SequenceEqual(again), "What was decoded and encoded is another message the second time.");
        return Decoded;
    }

    private static void Require(bool condition, string complaint)
    {
        if (!condition)
        {
            throw new FuzzFailure(complaint);
        }
    }
}
