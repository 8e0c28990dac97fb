using System.Buffers.Binary;
using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Http;

/// <summary>What was agreed on in the answer to a WebSocket request.</summary>
internal static class WebSocketAnswer
{
    public const string Status = "101";

    /// <summary>RFC 6455 §7.4.1 leaves 1012, "service restart", to the IANA registry: the client should come back.</summary>
    private const ushort ServiceRestart = 1012;

    /// <summary>A close frame that needs no answer to be understood: FIN and the opcode, the length, the code.</summary>
    public static readonly byte[] Restart = CloseFrame(ServiceRestart);

    /// <summary>What a new answer must agree on as well, for the client to go on without noticing.</summary>
    public static string Describe(Func<string, string?> header) => $"{Status}\n{header("Sec-WebSocket-Protocol")}\n{header("Sec-WebSocket-Extensions")}";

    /// <summary>Whether the answer is one of a WebSocket, and not of another protocol that begins with an upgrade.</summary>
    public static bool IsOne(IHeaderDictionary answer) => answer.SecWebSocketAccept.Count > 0;

    /// <summary>Compression with a context that outlives a message has it in the memory of the process (RFC 7692 §7.1.1).</summary>
    public static bool HasContext(IHeaderDictionary answer) =>
        answer.SecWebSocketExtensions.ToString() is { Length: > 0 } extensions
        && !(extensions.Contains("server_no_context_takeover", StringComparison.OrdinalIgnoreCase)
            && extensions.Contains("client_no_context_takeover", StringComparison.OrdinalIgnoreCase));

    private static byte[] CloseFrame(ushort code)
    {
        byte[] frame = [0x80 | WebSocketOpcode.Close, sizeof(ushort), 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(2), code);
        return frame;
    }
}
