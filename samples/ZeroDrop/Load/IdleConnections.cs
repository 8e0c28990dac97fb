using System.Net;
using ZeroDrop.Measure;

namespace ZeroDrop.Load;

/// <summary>Connections that ask once and then wait, as most do; after a handoff each is asked whether it still works.</summary>
internal sealed class IdleConnections(LoadContext context, EndPoint endPoint, string host, int count)
{
    private const double TimeoutMs = 10_000;
    private const double SpacingMs = 2;
    private const int Renewed = 20;

    private readonly HttpConnection[] _connections = [.. Enumerable.Range(0, count).Select(_ => new HttpConnection(endPoint))];
    private readonly int[] _generations = new int[count]; // that answered last; 0 on a connection that has not been asked
    private readonly Request _request = Request.Get("/", host);
    private readonly Pulse _pulse = new();
    private ulong _id = 0xFFFF_0000_0000_0000;

    public IEnumerable<HttpConnection> Connections => _connections;

    /// <summary>Asks once on each that is open, and opens those that are not, so that the next replacement meets them all.</summary>
    public async Task AskAllAsync()
    {
        for (var i = 0; i < count && !context.Aborting.IsCancellationRequested; i++)
        {
            await context.Pacer.UntilAsync(_pulse, Clock.Now + Clock.Ticks(SpacingMs));
            if (_connections[i].IsOpen && IsStillOpen(i))
            {
                await AskAsync(i);
            }

            if (!_connections[i].IsOpen)
            {
                _generations[i] = 0;
                await AskAsync(i);
            }
        }

        await Task.Yield(); // off the socket thread
    }

    /// <summary>Closes the first few and opens them again: whoever accepts now has them.</summary>
    public async Task RenewAsync()
    {
        for (var i = 0; i < Math.Min(count, Renewed); i++)
        {
            _connections[i].Close();
            _generations[i] = 0;
            await AskAsync(i);
        }

        await Task.Yield(); // off the socket thread
    }

    private bool IsStillOpen(int i)
    {
        var state = _connections[i].LookWhileIdle();
        if (state == IdleState.Open)
        {
            return true;
        }

        context.Recorder.Idle.NoteSilentClose(_generations[i]);
        _connections[i].Close();
        return false;
    }

    private async Task AskAsync(int i)
    {
        var connection = _connections[i];
        var began = Clock.Now;
        connection.SetTimeout(TimeoutMs);
        var failure = connection.IsOpen ? Failure.None : await connection.ConnectAsync();
        _request.SetId(++_id);
        failure = failure == Failure.None ? await connection.SendAsync(_request.Head) : failure;
        var answer = failure == Failure.None ? await connection.ReceiveAsync() : Answer.Failed(failure);
        connection.ClearTimeout();
        if (answer.Failure == Failure.None && (answer.Status != 200 || answer.RequestId != _id))
        {
            answer.Failure = Failure.Mismatch;
        }

        if (answer.Failure != Failure.None)
        {
            context.Recorder.NoteFailure(RequestKind.Idle, answer.Failure, answer.Status);
            connection.Close();
            return;
        }

        context.Recorder.NoteAnswer(RequestKind.Idle, began, answer.Generation);
        _generations[i] = context.Recorder.Idle.NoteAnswer(_generations[i], answer.Generation, answer.Close);
        if (answer.Close)
        {
            connection.Close();
        }
    }
}
