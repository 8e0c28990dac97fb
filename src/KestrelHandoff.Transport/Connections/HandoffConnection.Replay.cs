using System.Buffers;
using System.Net.Sockets;

namespace KestrelHandoff.Transport.Connections;

// How a connection begins that was served before: with what was received then, or with the request that its server is asked again.
internal sealed partial class HandoffConnection
{
    private ReplayedOutput? Replayed => _ownTransport.Output as ReplayedOutput;

    /// <summary>The client was told that its stream ends, or is about to be.</summary>
    private bool IsReplayRefused => Replayed?.IsSame is { IsCompleted: true, Result: false };

    private async Task ReceiveAfterAsync(ReadOnlyMemory<byte> received)
    {
        if (!received.IsEmpty)
        {
            // A connection that is held by now keeps them unflushed: who takes it completes the input, and has them with the rest.
            _input.Write(received.Span);
            if (TryFlush(out var flush))
            {
                await flush;
            }
        }

        await ReceiveAsync();
    }

    private async Task ReceiveAfterReplayAsync(ReplayedOutput replayed, ReadOnlyMemory<byte> request, ReadOnlyMemory<byte> received)
    {
        try
        {
            await ReplayAsync(replayed, request, received);
        }
        catch (Exception e)
        {
            EndInput(Unexpected(e)); // aborted, and its socket closed, before a receive began
            FireConnectionClosed();
        }
    }

    private async Task ReplayAsync(ReplayedOutput replayed, ReadOnlyMemory<byte> request, ReadOnlyMemory<byte> received)
    {
        await _input.WriteAsync(request); // the server has not been given the connection yet: nobody reads, and nobody can hold it

        // What came before is the server's first, whatever has become of the client.
        if (received.IsEmpty && await WatchAsync(replayed.IsSame) is { HasLeft: true, Error: var error })
        {
            EndInput(error);
            await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding); // as where every other connection ends
            FireConnectionClosed();
        }
        else if (await replayed.IsSame)
        {
            await ReceiveAfterAsync(received);
        }
        else
        {
            _input.Complete();
            await _sending; // told that the client is gone the server would abort, and cut off what the client is told
            FireConnectionClosed(); // a handler that only writes waits for nothing else
        }
    }

    /// <summary>Until the server has answered nothing is received, but the end of the client must be heard: the handler may not write for long.</summary>
    /// <returns>Whether the client has left, and how if not with FIN.</returns>
    private async Task<(bool HasLeft, Exception? Error)> WatchAsync(Task answered)
    {
        using var stop = new CancellationTokenSource();
        var peek = _socket.ReceiveAsync(new byte[1], SocketFlags.Peek, stop.Token).AsTask();
        await Task.WhenAny(answered, peek);
        await stop.CancelAsync();
        await ((Task)peek).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // it must not be pending when the next receive begins
        if (answered.IsCompleted)
        {
            return default; // the next receive hears the end, too
        }

        Exception? error = null;
        return TryTake(new QuietAwait.Outcome(new ValueTask<int>(peek)), out var count, ref error) ? (IsFin(count), null) : (true, error);
    }
}
