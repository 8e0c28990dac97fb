using System.Net;
using ZeroDrop.Measure;

namespace ZeroDrop.Load;

/// <summary>Connections that ask once and then wait, as most do; after a handoff each is asked whether it still works.</summary>
internal sealed class IdleConnections(LoadContext context, EndPoint endPoint, string host, int count)
{
    private const double TimeoutMs = 10_000;
    private const double SpacingMs = 2;

    private readonly HttpConnection[] _connections = [.. Enumerable.Range(0, count).Select(_ => new HttpConnection(endPoint))];
    private readonly Request _request = Request.Get("/", host);
    private readonly Pulse _pulse = new();
    private ulong _id = 0xFFFF_0000_0000_0000;

    public IEnumerable<HttpConnection> Connections => _connections;

    public int Count => count;

    /// <summary>Opens those that are not open and asks on each once.</summary>
    /// <returns>How many of them were open before and answered on the same connection.</returns>
    public async Task<int> AskAllAsync()
    {
        var survived = 0;
        foreach (var connection in _connections.TakeWhile(_ => !context.Aborting.IsCancellationRequested))
        {
            await context.Pacer.UntilAsync(_pulse, Clock.Now + Clock.Ticks(SpacingMs));
            var wasOpen = connection.IsOpen;
            if (wasOpen && connection.LookWhileIdle() != IdleState.Open)
            {
                connection.Close();
            }

            survived += await AskAsync(connection, wasOpen && connection.IsOpen) ? 1 : 0;
        }

        await Task.Yield(); // off the socket thread
        return survived;
    }

    private async Task<bool> AskAsync(HttpConnection connection, bool isSame)
    {
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
            return false;
        }

        context.Recorder.NoteAnswer(RequestKind.Idle, began, answer.Generation);
        if (answer.Close)
        {
            connection.Close();
        }

        return isSame;
    }
}
