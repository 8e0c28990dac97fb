using System.Buffers;
using System.Net.Sockets;
using KestrelHandoff.Transport.Interop;

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
            await FireConnectionClosedAsync();
        }
    }

    private async Task ReplayAsync(ReplayedOutput replayed, ReadOnlyMemory<byte> request, ReadOnlyMemory<byte> received)
    {
        await _input.WriteAsync(request); // the server has not been given the connection yet: nobody reads, and nobody can hold it

        // What came before is the server's first, whatever has become of the client.
        if (received.IsEmpty && await WatchAsync(replayed.IsSame) is { HasLeft: true, Error: var error })
        {
            EndInput(error);
            await FireConnectionClosedAsync();
        }
        else if (await replayed.IsSame)
        {
            await ReceiveAfterAsync(received);
        }
        else
        {
            _input.Complete();
            await _sending; // told that the client is gone the server would abort, and cut off what the client is told
            await FireConnectionClosedAsync(); // a handler that only writes waits for nothing else
        }
    }

    /// <summary>Until the server has answered nothing is received, but the end of a client that has sent nothing must be heard: the handler may not write for long.</summary>
    /// <returns>Whether the client has left, and how if not with FIN.</returns>
    private async Task<(bool HasLeft, Exception? Error)> WatchAsync(Task answered)
    {
        _ = answered.ContinueWith(_ => _readSignal.Give(), TaskScheduler.Default);
        Watch();
        while (true)
        {
            await _readSignal;
            if (answered.IsCompleted)
            {
                break; // the next receive hears the end, too
            }

            if (_phase == Phase.Ended)
            {
                return (true, null); // by this side
            }

            Exception? error = null;
            var outcome = Peek(out var count);
            if (outcome != SocketError.WouldBlock)
            {
                if (!HasReceived(outcome, count, ref error))
                {
                    return (true, error);
                }

                break;
            }
        }

        _readSignal.Give(); // to the loop that follows, in place of the one taken here
        return default;
    }

    private SocketError Peek(out int count) => Libc.ReceiveNow(_socket.SafeHandle, stackalloc byte[1], out count, peeks: true);
}
