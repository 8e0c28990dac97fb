using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Coordination;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Http;

/// <summary>
/// While the instance drains, a connection that can move does; on others each answer says that it is the last. A connection without
/// a request is left alone for as long as can be (<see cref="Goodbyes"/>): closing it could meet a request on its way (RFC 9112 §9.6), which would be lost.
/// </summary>
internal sealed class LameDuck(Drain drain, Migration migration) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        Func<object, Task> announceAtHead = state => AnnounceAtHead((HttpContext)state);
        app.Use(next => context =>
        {
            // What every request passes asks for features by the indexer: Get is a generic interface method, which the runtime looks up each time.
            var connection = context.Features[typeof(HandoffConnection)] as HandoffConnection;
            var canMove = connection is not null && Exchanges.CanMove(connection, context);
            if (canMove && (!drain.HasBegun || migration.Moves(connection!)))
            {
                return Exchanges.RunAsync(connection!, next, context);
            }

            if (drain.HasBegun)
            {
                Announce(context);
            }

            context.Response.OnStarting(announceAtHead, context);
            return RunToldAsync(connection, canMove, next, context);
        });
        next(app);
    };

    /// <summary>Of an exception that gets here the server makes a 500 with a head of its own.</summary>
    private Task RunToldAsync(HandoffConnection? connection, bool canMove, RequestDelegate next, HttpContext context)
    {
        Task running;
        try
        {
            running = RunAsync(connection, canMove, next, context);
        }
        catch when (MustClose(context))
        {
            RequestClose(context);
            throw;
        }

        return running.IsCompletedSuccessfully ? running : AwaitToldAsync(running, context);
    }

    private async Task AwaitToldAsync(Task running, HttpContext context)
    {
        try
        {
            await running;
        }
        catch when (MustClose(context))
        {
            RequestClose(context);
            throw;
        }
    }

    private bool MustClose(HttpContext context) => drain.HasBegun && !context.Response.HasStarted;

    private static Task RunAsync(HandoffConnection? connection, bool canMove, RequestDelegate next, HttpContext context) =>
        canMove ? Exchanges.RunAsync(connection!, next, context)
        : connection is null ? next(context)
        : RunOnFixedAsync(connection, next, context);

    /// <summary>A connection that ends with this instance; some can be told so without a request.</summary>
    private static Task RunOnFixedAsync(HandoffConnection connection, RequestDelegate next, HttpContext context)
    {
        connection.BeginExchange(hasEnd: false); // none that anybody could see
        if (!connection.IsShared && HttpProtocol.IsHttp2(context.Request.Protocol))
        {
            connection.IsShared = true;
        }

        return WebSocketUpgrade.Wanted(context) is { } upgrade ? WebSocketUpgrade.RunAsync(connection, upgrade, next, context) : next(context);
    }

    /// <summary>HTTP/1.1: the connection ends after this answer. HTTP/2 and 3: no new streams (GOAWAY), those that run finish.</summary>
    private static void Announce(HttpContext context)
    {
        if (HttpProtocol.IsHttp11(context.Request.Protocol) || HttpProtocol.IsHttp10(context.Request.Protocol))
        {
            context.Response.Headers.Connection = "close";
        }
        else
        {
            RequestClose(context);
        }
    }

    private static void RequestClose(HttpContext context) => context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();

    /// <summary>For a request that came before the drain and is answered in it, and for an answer that the app began anew: the connection would be closed later without a word.</summary>
    private Task AnnounceAtHead(HttpContext context)
    {
        if (drain.HasBegun && context.Response.StatusCode != StatusCodes.Status101SwitchingProtocols)
        {
            Announce(context);
        }

        return Task.CompletedTask;
    }
}
