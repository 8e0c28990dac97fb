using System.Buffers;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text;

namespace HandoffDemo;

/// <summary>The endpoints that hold a connection open: WebSocket echo, server-sent events, and the count of an upload.</summary>
internal static class StreamEndpoints
{
    /// <summary>Reads a request body to its end.</summary>
    /// <returns>Its length in bytes, as text.</returns>
    public static async Task<string> CountAsync(Stream body)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        var total = 0L;
        for (int count; (count = await body.ReadAsync(buffer)) > 0;)
        {
            total += count;
        }

        ArrayPool<byte>.Shared.Return(buffer);
        return total.ToString();
    }

    /// <summary>Answers each text message with <c>GENERATION:text</c>.</summary>
    public static async Task EchoAsync(HttpContext context, Generation generation)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[4096];
        while (true)
        {
            var result = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
            if (result.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
                return;
            }

            var answer = $"{generation.Number}:{Encoding.UTF8.GetString(buffer, 0, result.Count)}";
            await socket.SendAsync(Encoding.UTF8.GetBytes(answer), WebSocketMessageType.Text, result.EndOfMessage, context.RequestAborted);
        }
    }

    /// <summary>One event each half second: <c>GENERATION:count</c>.</summary>
    public static async IAsyncEnumerable<string> TickAsync(Generation generation, [EnumeratorCancellation] CancellationToken aborted)
    {
        for (var count = 1; ; count++)
        {
            yield return $"{generation.Number}:{count}";
            await Task.Delay(TimeSpan.FromSeconds(0.5), aborted);
        }
    }
}
