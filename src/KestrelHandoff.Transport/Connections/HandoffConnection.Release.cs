using System.Buffers;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Transport.Connections;

// How a connection lets its socket go. shutdown(2) and SO_LINGER act on the one open socket that all descriptors of it share,
// in every process: nothing here may reach for them.
internal sealed partial class HandoffConnection
{
    /// <summary>Stops receiving, sends what the application has written, and gives the socket away.</summary>
    /// <param name="cancellationToken">Gives up: the connection is aborted. The wait is for a peer that does not read.</param>
    /// <returns>
    /// The live connection, which the caller now owns; <see langword="null"/> when it cannot be released: it has ended, it is
    /// released already, its transport was replaced, or the application completed its input.
    /// </returns>
    /// <remarks>The application must be done: no read or write under way, no read without its AdvanceTo.</remarks>
    public async ValueTask<ReleasedConnection?> ReleaseAsync(CancellationToken cancellationToken = default)
    {
        if (!TryBeginRelease())
        {
            return null;
        }

        ReleasedConnection? released = null;
        try
        {
            await using var giveUp = cancellationToken.UnsafeRegister(static c => ((HandoffConnection)c!).GiveUpRelease(), this);
            _ownTransport.Output.Complete();
            await _receiving;
            if (_isHeld)
            {
                _input.Complete();
            }

            await _sending;
            released = TakeSocket();
            await FireConnectionClosedAsync();
        }
        finally
        {
            _belongings!.Release!.SetResult(released);
        }

        return released;
    }

    /// <summary>Aborts a connection that is held and does not get done; one that was released stays so.</summary>
    public void GiveUpRelease()
    {
        if (TryEnd(new ConnectionAbortedException("The connection was not released in time."), evenIfStopped: true))
        {
            ConnectionLog.NotReleased(_lane.Logger, ConnectionId);
            _output.CancelPendingRead();
        }
    }

    private bool TryBeginRelease()
    {
        lock (_readSignal)
        {
            if (IsTransportReplaced || _phase is not Phase.Live and not Phase.Stopped)
            {
                return false;
            }

            (_belongings ??= new()).Release = new TaskCompletionSource<ReleasedConnection?>(TaskCreationOptions.RunContinuationsAsynchronously);
            _phase = Phase.Releasing;
        }

        _readSignal.Give();
        _input.CancelPendingFlush();
        return true;
    }

    private ReleasedConnection? TakeSocket()
    {
        if (_phase != Phase.Releasing)
        {
            return null; // failed or given up meanwhile: the input ends with that error
        }

        // FIN that came as it was held is nobody's yet: who takes the socket reads it again, after what the client had sent before.
        var hasEnded = (_isHeld ? _peerGone : _peerEnded) || _socket.SafeHandle.IsClosed; // the latter by the application, which has the Socket
        var leftover = hasEnded || _readerGone ? null : TakeLeftover();
        lock (_readSignal)
        {
            if (_phase != Phase.Releasing)
            {
                return null;
            }

            _phase = leftover is null ? Phase.Live : Phase.Released;
        }

        if (leftover is null)
        {
            TryEnd(reason: null, evenIfStopped: true);
            return null;
        }

        Unwatch();
        ConnectionLog.Released(_lane.Logger, this, leftover.Length);
        var replay = Messages?.Replay;
        return new ReleasedConnection
        {
            Socket = _socket,
            Leftover = leftover,
            ConnectionId = ConnectionId,
            ListenerName = ListenerName,
            LocalEndPoint = LocalEndPoint,
            RemoteEndPoint = RemoteEndPoint,
            State = StateOf(_belongings?.Left ?? (replay is null ? null : [])),
            Replay = replay,
        };
    }

    /// <summary>An array that is null would turn into a state of no bytes by itself, and with one a connection waits for no request.</summary>
    internal static ReadOnlyMemory<byte>? StateOf(byte[]? state) => state is null ? default(ReadOnlyMemory<byte>?) : state.AsMemory();

    /// <summary>What the application has not consumed.</summary>
    /// <returns><see langword="null"/> when it cannot be told, because the application completed the input or still reads.</returns>
    private byte[]? TakeLeftover()
    {
        try
        {
            _ownTransport.EndRead();

            // The writer is complete by now: before that, TryRead holds back bytes that were examined and not consumed.
            if (!_ownTransport.Inner.TryRead(out var result))
            {
                return null;
            }

            var leftover = result.Buffer.ToArray();
            _ownTransport.Inner.Complete();
            return leftover;
        }
        catch (InvalidOperationException e)
        {
            ConnectionLog.Unexpected(_lane.Logger, ConnectionId, nameof(ReleaseAsync), e); // a handler that still reads
            return null;
        }
    }

    /// <summary>Asks whether to release, lets a release under way finish, takes back a stop that no release followed.</summary>
    private async Task SettleReleaseAsync()
    {
        try
        {
            if (Disposing is { } disposing)
            {
                await disposing(this);
            }
        }
        catch (Exception e)
        {
            ConnectionLog.Unexpected(_lane.Logger, ConnectionId, nameof(Disposing), e);
        }

        lock (_readSignal)
        {
            if (_phase == Phase.Stopped)
            {
                _phase = Phase.Live;
            }
        }

        if (_belongings?.Release is { } release)
        {
            await release.Task;
        }
    }
}
