using System.Buffers.Binary;
using System.Text.Json;

namespace KestrelHandoff.Transport.Control;

/// <summary>Bytes ↔ messages. Pure: no socket, no clock.</summary>
internal static class MessageCodec
{
    /// <summary>How much of what a peer sent is repeated to it and in the log.</summary>
    private const int MaxQuoted = 200;

    /// <summary>The length and the JSON of <paramref name="message"/>.</summary>
    public static byte[] Encode(ControlMessage message)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(message, ControlJson.Default.ControlMessage);
        if (json.Length > ControlProtocol.MaxMessageLength)
        {
            throw new ControlException(
                ControlProtocol.Reasons.Malformed, $"A message of {json.Length} bytes is over the limit of {ControlProtocol.MaxMessageLength}.");
        }

        var frame = new byte[ControlProtocol.HeaderLength + json.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, json.Length);
        json.CopyTo(frame, ControlProtocol.HeaderLength);
        return frame;
    }

    /// <summary>The length of the message that follows <paramref name="header"/>.</summary>
    /// <exception cref="ControlException">It is zero or over the limit, as it is with bytes that are no message at all.</exception>
    public static int DecodeLength(ReadOnlySpan<byte> header)
    {
        var length = BinaryPrimitives.ReadUInt32BigEndian(header);
        return length is > 0 and <= ControlProtocol.MaxMessageLength
            ? (int)length
            : throw new ControlException(
                ControlProtocol.Reasons.Malformed,
                $"A message length of {length} is not from 1 to {ControlProtocol.MaxMessageLength}; is the peer a handoff instance?");
    }

    /// <exception cref="ControlException">The bytes are no message, or one of a type this version does not know.</exception>
    public static ControlMessage Decode(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, ControlJson.Default.ControlMessage) is { } message && !HasNullInList(message)
                ? message
                : throw new ControlException(ControlProtocol.Reasons.Malformed, "The message, or an entry of a list in it, is null.");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw TypeOf(json) is { } type && !IsKnown(type)
                ? new ControlException(
                    ControlProtocol.Reasons.UnknownMessage, $"'{Quote(type)}' is no message of protocol version {ControlProtocol.Version}.")
                : new ControlException(ControlProtocol.Reasons.Malformed, $"The message cannot be read: {Quote(e.Message)}", e);
        }
    }

    // The serializer holds lists to be what their type says, but not their entries.
    private static bool HasNullInList(ControlMessage message) => message switch
    {
        Hello hello => hello.Capabilities.Contains(null),
        Welcome welcome => welcome.Capabilities.Contains(null),
        Offer offer => offer.Listeners.Contains(null),
        Ready ready => ready.Listeners.Contains(null),
        Migrate migrate => migrate.Connections.Contains(null),
        Draining draining => draining.Instances.Contains(null),
        _ => false,
    };

    private static string Quote(string text) => text.Length <= MaxQuoted ? text : text[..MaxQuoted] + "…";

    private static bool IsKnown(string type) =>
        ControlJson.Default.ControlMessage.PolymorphismOptions!.DerivedTypes.Any(derived => type.Equals(derived.TypeDiscriminator));

    // Only for the error's sake: the serializer does not say which type it did not know.
    private static string? TypeOf(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("type", out var type)
                && type.ValueKind == JsonValueKind.String
                    ? type.GetString()
                    : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null; // the latter for text that is no UTF-8 or half a surrogate pair
        }
    }
}
