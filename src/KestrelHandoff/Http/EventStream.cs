using System.IO.Pipelines;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Http;

/// <summary>The answer to a request for server-sent events, which can move between two events.</summary>
internal sealed class EventStream : WriteOnlyStream, IHttpResponseBodyFeature, IMessages, IConnectionHandoffFeature
{
    private readonly HttpContext _context;
    private readonly HandoffConnection _connection;
    private readonly IHttpResponseBodyFeature _body;
    private readonly CancellationTokenSource _aborted;
    private readonly byte[] _request;
    private readonly Lock _sync = new();
    private PipeWriter? _writer;
    private TaskCompletionSource? _cut; // once held: completes when nothing more can reach the client from here
    private EventTracker _events;
    private int _writes; // under way
    private bool _hasUnflushed;
    private bool _hasFlushed; // the client has the head: the successor's is not for it
    private bool _hasBegun;
    private bool _hasEnded;
    private volatile bool _isHeld;

    private EventStream(HttpContext context, HandoffConnection connection)
    {
        (_context, _connection, _request) = (context, connection, RequestHead.Write(context));
        _body = context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        _aborted = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted); // by the client's going
        context.RequestAborted = _aborted.Token;
        context.Features.Set<IHttpResponseBodyFeature>(this);
        context.Features.Set<IConnectionHandoffFeature>(this);
    }

    public Stream Stream => this;

    public PipeWriter Writer => _writer ??= new EventWriter(this, _body.Writer);

    public Replay? Replay { get; private set; }

    public bool IsOneWay => true;

    public CancellationToken HandoffRequested => Feature.HandoffRequested;

    public ReadOnlyMemory<byte>? State => Feature.State;

    private IConnectionHandoffFeature Feature => _connection;

    /// <summary>Whether the request asks for events, as browsers do; others have streams that nobody could cut.</summary>
    public static bool IsWanted(HttpContext context) =>
        context.Request.Headers.Accept is { Count: > 0 } accept
        && !HttpMethods.IsHead(context.Request.Method) // its answer is over with the head, whatever that says
        && accept.ToString().Contains(EventStreamAnswer.ContentType, StringComparison.OrdinalIgnoreCase)
        && !Exchanges.CanHaveBody(context);

    public static async Task RunAsync(HandoffConnection connection, RequestDelegate next, HttpContext context)
    {
        await using var self = new EventStream(context, connection);
        try
        {
            await next(context);
        }
        catch (Exception e) when (self._isHeld && e is OperationCanceledException or IOException)
        {
            // So a handler ends that loses its client. This one has not been lost.
        }
        finally
        {
            await self.LetGoAsync();
        }
    }

    public bool TryHandOff(ReadOnlyMemory<byte> state = default) => Feature.TryHandOff(state);

    public bool TryHold()
    {
        lock (_sync)
        {
            if (Replay is null || !_hasFlushed || _hasEnded || _writes > 0 || _hasUnflushed || !_events.IsBetweenEvents)
            {
                return false;
            }

            _cut = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _isHeld = true;
        }
    }

    public void OnHeld() => _ = CutAsync();

    /// <summary>Nothing: the client comes back by itself when the stream ends.</summary>
    public void SayGoodbye()
    {
    }

    public Task StartAsync(CancellationToken cancellationToken = default)
    {
        Begin();
        return _body.StartAsync(cancellationToken);
    }

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        SendFileFallback.SendFileAsync(this, path, offset, count, cancellationToken);

    public async Task CompleteAsync()
    {
        await LetGoAsync();
        await _body.CompleteAsync();
    }

    public void DisableBuffering() => _body.DisableBuffering();

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Pass(buffer.Span);
        BeginFlush();
        var isDone = false;
        try
        {
            await _body.Stream.WriteAsync(buffer, cancellationToken);
            isDone = true;
        }
        finally
        {
            EndFlush(isDone);
        }
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        BeginFlush();
        var isDone = false;
        try
        {
            await _body.Stream.FlushAsync(cancellationToken);
            isDone = true;
        }
        finally
        {
            EndFlush(isDone);
        }
    }

    /// <summary>Bytes on their way to the client, with the next flush at the latest.</summary>
    public void Pass(ReadOnlySpan<byte> bytes)
    {
        Begin();
        lock (_sync)
        {
            ThrowIfHeld();
            _hasUnflushed |= !bytes.IsEmpty;
            _events.Pass(bytes);
        }
    }

    public void BeginFlush()
    {
        Begin(); // it may send the head
        lock (_sync)
        {
            ThrowIfHeld();
            _writes++;
        }
    }

    /// <param name="isDone">Else nobody knows what of it has reached the client, or will: the stream is not cut any more.</param>
    public void EndFlush(bool isDone)
    {
        lock (_sync)
        {
            _writes--;
            _hasEnded |= !isDone;
            _hasUnflushed = false;
            _hasFlushed = true;
        }

        _connection.EndMessage();
    }

    public override async ValueTask DisposeAsync()
    {
        _aborted.Dispose();
        await base.DisposeAsync();
    }

    /// <summary>The answer is about to begin: whatever it will be is settled now.</summary>
    private void Begin()
    {
        if (_hasBegun)
        {
            return;
        }

        _hasBegun = true;
        if (MigratesOnHandoff.IsOn(_context) && EventStreamAnswer.CanMove(_context.Response))
        {
            var headers = _context.Response.Headers;
            Replay = new Replay(_request, EventStreamAnswer.Describe(name => headers[name].ToString()));
            _connection.Speak(this);
        }
    }

    /// <summary>The server goes on with this connection, or ends it: nothing is cut from here on, and what was is cut by now.</summary>
    private async Task LetGoAsync()
    {
        lock (_sync)
        {
            _hasEnded = true;
        }

        if (_cut is { } cut)
        {
            await cut.Task;
        }
        else
        {
            _connection.Speak(null);
        }
    }

    private async Task CutAsync()
    {
        await _connection.CutOutputAsync();
        _cut!.SetResult();
        _aborted.CancelQuietly();
    }

    private void ThrowIfHeld()
    {
        if (_isHeld)
        {
            _aborted.CancelQuietly();
            throw new OperationCanceledException("The connection goes on with the successor of this instance.");
        }
    }
}
