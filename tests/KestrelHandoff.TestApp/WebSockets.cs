using System.Globalization;
using System.Net.WebSockets;
using System.Text;

namespace KestrelHandoff.TestApp;

/// <summary>WebSockets that move: each message is answered with <c>GENERATION:COUNT:text</c>, and the count goes on in the successor.</summary>
internal static class WebSockets
{
    public static void Map(WebApplication app)
    {
        var handoff = app.Services.GetRequiredService<ISocketHandoff>();
        app.Map("/ws-moving/{kind?}", (HttpContext context, string? kind) => CountAsync(context, handoff, kind ?? "")).MigrateOnHandoff();
    }

    private static async Task CountAsync(HttpContext context, ISocketHandoff handoff, string kind)
    {
        var feature = context.Features.Get<IConnectionHandoffFeature>()!;
        var count = feature.State is { } state ? int.Parse(Encoding.ASCII.GetString(state.Span), CultureInfo.InvariantCulture) : 0;
        if (kind == "first-generation-only" && handoff.Generation > 1)
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
        {
            DangerousEnableCompression = kind.EndsWith("context", StringComparison.Ordinal),
            DisableServerContextTakeover = kind == "without-context",
        });
        var buffer = new byte[256]; // less than some messages: they come in parts
        var text = new StringBuilder();
        try
        {
            while (await socket.ReceiveAsync(buffer, context.RequestAborted) is { MessageType: not WebSocketMessageType.Close } received)
            {
                text.Append(Encoding.UTF8.GetString(buffer, 0, received.Count));
                if (received.EndOfMessage)
                {
                    var answer = Encoding.UTF8.GetBytes($"{handoff.Generation}:{++count}:{text}");
                    text.Clear();
                    var half = answer.Length / 2; // in two frames, as a sender of long messages does
                    await socket.SendAsync(answer.AsMemory(0, half), WebSocketMessageType.Text, endOfMessage: false, context.RequestAborted);
                    await socket.SendAsync(answer.AsMemory(half), WebSocketMessageType.Text, endOfMessage: true, context.RequestAborted);
                }
            }

            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        }
        catch when (feature.TryHandOff(Encoding.ASCII.GetBytes($"{count}")))
        {
            // the successor's handler counts on
        }
    }
}
