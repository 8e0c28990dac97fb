using System.Net.WebSockets;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Http;

/// <summary>A request that may become a WebSocket. If it does, the connection knows from then on where messages end.</summary>
internal sealed class WebSocketUpgrade : IHttpUpgradeFeature, IConnectionHandoffFeature, IDisposable
{
    private readonly HttpContext _context;
    private readonly HandoffConnection _connection;
    private readonly IHttpUpgradeFeature _upgrade;
    private readonly CancellationTokenSource _aborted;
    private byte[]? _request; // null: there is nothing to move
    private WebSocketStream? _stream;

    private WebSocketUpgrade(HttpContext context, HandoffConnection connection, IHttpUpgradeFeature upgrade)
    {
        (_context, _connection, _upgrade) = (context, connection, upgrade);
        _request = connection.IsBoundByRequests ? null : RequestHead.Write(context);
        _aborted = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted); // by the client's going, or the connection's
        context.RequestAborted = _aborted.Token;
        context.Features.Set<IHttpUpgradeFeature>(this);
        context.Features.Set<IConnectionHandoffFeature>(this);
    }

    public bool IsUpgradableRequest => _upgrade.IsUpgradableRequest;

    public CancellationToken HandoffRequested => Feature.HandoffRequested;

    public ReadOnlyMemory<byte>? State => Feature.State;

    private IConnectionHandoffFeature Feature => _connection;

    /// <summary>What the server has for a request that asks for an upgrade.</summary>
    public static IHttpUpgradeFeature? Wanted(HttpContext context) =>
        context.Request.Headers.Connection.Count > 0 // where it would say so: quicker to look at than the features, and every request passes
        && context.Features[typeof(IHttpUpgradeFeature)] is IHttpUpgradeFeature { IsUpgradableRequest: true } upgrade ? upgrade : null;

    public static async Task RunAsync(HandoffConnection connection, IHttpUpgradeFeature upgrade, RequestDelegate next, HttpContext context)
    {
        using var self = new WebSocketUpgrade(context, connection, upgrade);
        try
        {
            await next(context);
        }
        catch (Exception e) when (self._stream is { IsTaken: true } && e is OperationCanceledException or WebSocketException or IOException)
        {
            // So a handler ends that loses its connection. This one has not been lost.
        }
        finally
        {
            await self.EndAsync();
        }
    }

    public bool TryHandOff(ReadOnlyMemory<byte> state = default) => Feature.TryHandOff(state);

    public async Task<Stream> UpgradeAsync()
    {
        var answer = _context.Response.Headers;
        if (!WebSocketAnswer.IsOne(answer))
        {
            return await _upgrade.UpgradeAsync();
        }

        if (!MigratesOnHandoff.IsOn(_context) || WebSocketAnswer.HasContext(answer))
        {
            _request = null;
        }

        var replay = _request is { } request ? new Replay(request, WebSocketAnswer.Describe(name => string.Join(',', (IEnumerable<string?>)answer[name]))) : null;
        _stream = new WebSocketStream(await _upgrade.UpgradeAsync(), _connection, replay, _aborted.CancelQuietly);
        _connection.Speak(_stream);
        return _stream;
    }

    public void Dispose() => _aborted.Dispose();

    private async Task EndAsync()
    {
        if (_stream is null)
        {
            return;
        }

        if (_stream.TryEnd())
        {
            _connection.Speak(null);
        }
        else
        {
            await _stream.WhenReadEndedAsync(); // of a task that the handler has left behind
        }
    }
}
