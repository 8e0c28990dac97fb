using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KestrelHandoff.Transport.Interop;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Transport.Connections;

// How bytes come in: a wait that is no operation on the socket, so that none has to be cancelled before that is let go, and then a receive.
internal sealed partial class HandoffConnection
{
    /// <summary>The most that one receive takes, in bytes: four blocks of Kestrel's pool.</summary>
    private const int ReceiveBuffer = 16 * 1024;

    private async Task ReceiveAsync()
    {
        Exception? error = null;
        try
        {
            while (_phase == Phase.Live && !_isHeld)
            {
                var outcome = Receive(out var count, out var mayHaveMore); // also before any wait: a client that connects has something to say, as a rule
                if (outcome != SocketError.WouldBlock
                    && (!HasReceived(outcome, count, ref error)
                        || !TryFlush(out var flush)
                        || IsInputDone(flush.IsCompletedSuccessfully ? flush.Result : await PausedAsync(flush))))
                {
                    break;
                }

                if (_readSignal.Id == 0)
                {
                    _readSignal.MustSuspend = true; // the first receive runs where the listener accepts, which has others to accept
                    Watch();
                    await _readSignal;
                }
                else if (!mayHaveMore)
                {
                    await _readSignal;
                }
            }
        }
        catch (Exception e)
        {
            error = Unexpected(e);
        }

        if (_isHeld)
        {
            return; // the server must not see an end: what it has not read goes along
        }

        EndInput(error);
        if (MustFireConnectionClosed())
        {
            await FireConnectionClosedAsync();
        }
    }

    /// <summary>From here on <see cref="_readSignal"/> tells when there is something to receive, at once if there is now.</summary>
    private void Watch()
    {
        if (_readSignal.Id == 0)
        {
            _lane.Poller.Watch(_socket.SafeHandle, _readSignal);
        }
    }

    private void Unwatch()
    {
        if (_readSignal.Id != 0)
        {
            _lane.Poller.Unwatch(_socket.SafeHandle, _readSignal);
        }
    }

    /// <summary>Not into a buffer of the pipe: where nothing is there after all, that would be held until something comes.</summary>
    [SkipLocalsInit] // the buffer, which is not read before it is written
    private SocketError Receive(out int count, out bool mayHaveMore)
    {
        Span<byte> buffer = stackalloc byte[ReceiveBuffer];
        var outcome = Libc.ReceiveNow(_socket.SafeHandle, buffer, out count);
        mayHaveMore = count == buffer.Length || (count > 0 && MayHaveMore());
        if (count > 0)
        {
            _input.Write(buffer[..count]);
        }

        return outcome;
    }

    /// <summary>
    /// After a receive that did not fill its buffer. Over TCP it has taken all there was, and what comes later is told of (epoll(7), question 9), but for urgent bytes
    /// and the end, told of together with bytes before them. A Unix socket stops at bytes that descriptors were sent with.
    /// </summary>
    private bool MayHaveMore() =>
        _readSignal.IsSpecial || (_socket.AddressFamily == AddressFamily.Unix && _socket.Available > 0);

    /// <summary>Whether bytes came; otherwise none will.</summary>
    private bool HasReceived(SocketError outcome, int count, ref Exception? error)
    {
        if (_phase == Phase.Ended)
        {
            return false; // by this side, whose reason is kept
        }

        if (outcome == SocketError.Success)
        {
            if (count == 0)
            {
                ConnectionLog.FinReceived(_lane.Logger, this);
                _peerEnded = true;
            }

            return count > 0;
        }

        var failure = new SocketException((int)outcome);
        if (!IsReset(outcome))
        {
            error = Unexpected(failure);
            return false;
        }

        _peerEnded = _peerGone = true;
        ConnectionLog.ResetReceived(_lane.Logger, this);
        error = new ConnectionResetException(failure.Message, failure);
        return false;
    }

    private bool IsInputDone(FlushResult flushed)
    {
        if (flushed.IsCompleted)
        {
            _readerGone = true;
        }

        return flushed.IsCompleted || flushed.IsCanceled;
    }

    private void EndInput(Exception? error) => _input.Complete(_phase == Phase.Ended ? _endReason : error);

    private async ValueTask<FlushResult> PausedAsync(ValueTask<FlushResult> flush)
    {
        ConnectionLog.Paused(_lane.Logger, this);
        var result = await flush;
        ConnectionLog.Resumed(_lane.Logger, this);
        return result;
    }
}
