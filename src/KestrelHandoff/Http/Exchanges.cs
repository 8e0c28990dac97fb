using System.IO.Pipelines;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Http;

/// <summary>Tells an HTTP/1.1 connection where a request begins and ends: only between two of them can it move to a successor.</summary>
internal static class Exchanges
{
    /// <summary>Not with TLS or anything else that stays with this instance, and not HTTP/2, where requests overlap.</summary>
    public static bool CanMove(HandoffConnection connection, HttpContext context) =>
        !connection.IsBoundByRequests && HttpProtocol.IsHttp11(context.Request.Protocol);

    public static bool CanHaveBody(HttpContext context) =>
        context.Features[typeof(IHttpRequestBodyDetectionFeature)] is IHttpRequestBodyDetectionFeature { CanHaveBody: true };

    public static Task RunAsync(HandoffConnection connection, RequestDelegate next, HttpContext context)
    {
        connection.BeginExchange();
        var body = BodyOf(context);
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
            connection.EndExchange(IsRead(body, context)); // Kestrel answers 500 and reads on
            throw;
        }

        if (!running.IsCompletedSuccessfully)
        {
            return AwaitAsync(connection, running, body, context);
        }

        connection.EndExchange(IsRead(body, context));
        return Task.CompletedTask;
    }

    private static async Task AwaitAsync(HandoffConnection connection, Task running, PipeReader? body, HttpContext context)
    {
        try
        {
            await running;
        }
        finally
        {
            connection.EndExchange(IsRead(body, context));
        }
    }

    /// <summary>The body as Kestrel has it: once the app has put a stream of its own in its place, the request has a reader over that one.</summary>
    private static PipeReader? BodyOf(HttpContext context) =>
        CanHaveBody(context) ? context.Request.BodyReader : null;

    /// <summary>What the app has left of the body Kestrel reads after this, and then waits for nobody knows which bytes: the connection stays.</summary>
    private static bool IsRead(PipeReader? body, HttpContext context)
    {
        if (body is null)
        {
            return context.Response.StatusCode != StatusCodes.Status101SwitchingProtocols; // after which no request follows
        }

        if (WaitsToBeAsked(context))
        {
            return false; // a look at the body would have Kestrel ask for it
        }

        try
        {
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

    /// <summary>
    /// The client sends its body after a "100 Continue" (RFC 9110 §10.1.1), and the app has answered without one. Kestrel sends it with the first read of
    /// the body (Http1ChunkedEncodingMessageBody.PumpAsync), unless the answer has begun.
    /// </summary>
    private static bool WaitsToBeAsked(HttpContext context) =>
        context.Request.Headers.Expect.Count > 0
        && !context.Response.HasStarted
        && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is not { IsReadOnly: true }; // it becomes so with the first read
}
