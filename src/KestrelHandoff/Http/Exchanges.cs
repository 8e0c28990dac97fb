using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Http;

/// <summary>Tells an HTTP/1.1 connection where a request begins and ends: only between two of them can it move to a successor.</summary>
internal static class Exchanges
{
    /// <summary>Not under TLS or other middleware of the connection, and not HTTP/2, where requests overlap.</summary>
    public static bool CanMove(HandoffConnection connection, HttpContext context) =>
        !connection.IsTransportReplaced && HttpProtocol.IsHttp11(context.Request.Protocol);

    public static Task RunAsync(HandoffConnection connection, RequestDelegate next, HttpContext context)
    {
        connection.BeginExchange();
        Task running;
        try
        {
            running = WebSocketUpgrade.Wanted(context) is { } upgrade
                ? WebSocketUpgrade.RunAsync(connection, upgrade, next, context)
                : EventStream.IsWanted(context) ? EventStream.RunAsync(connection, next, context)
                : next(context);
        }
        catch
        {
            connection.EndExchange(IsBodyRead(context)); // Kestrel answers 500 and reads on
            throw;
        }

        if (!running.IsCompletedSuccessfully)
        {
            return AwaitAsync(connection, running, context);
        }

        connection.EndExchange(IsBodyRead(context));
        return Task.CompletedTask;
    }

    private static async Task AwaitAsync(HandoffConnection connection, Task running, HttpContext context)
    {
        try
        {
            await running;
        }
        finally
        {
            connection.EndExchange(IsBodyRead(context));
        }
    }

    /// <summary>What the app has left of the body Kestrel reads after this, and then waits for nobody knows which bytes: the connection stays.</summary>
    private static bool IsBodyRead(HttpContext context)
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true })
        {
            return true;
        }

        if (context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true })
        {
            return false; // its body is whatever comes, the next request too
        }

        try
        {
            var body = context.Request.BodyReader;
            while (body.TryRead(out var read))
            {
                body.AdvanceTo(read.Buffer.End); // even over nothing: Kestrel holds it for a read under way otherwise
                if (read.IsCompleted)
                {
                    return true;
                }
            }
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or BadHttpRequestException or ConnectionAbortedException)
        {
            // The app has completed the reader, or the client sent what is no body.
        }

        return false;
    }
}
