using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Transport.Connections;

// How a connection ends: which errors mean what, FIN or reset, and everything DisposeAsync owes.
internal sealed partial class HandoffConnection
{
    /// <summary>How long a connection that ended while its instance drains, or after it moved, waits for the peer's FIN.</summary>
    internal static readonly TimeSpan LingerLimit = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Called once, when the application is done and before the connection ends. It may call <see cref="ReleaseAsync"/>;
    /// a connection it does not release ends as usual.
    /// </summary>
    public Func<HandoffConnection, ValueTask>? Disposing
    {
        get => _belongings?.Disposing;
        set
        {
            lock (_readSignal)
            {
                (_belongings ??= new()).Disposing = value;
            }
        }
    }

    /// <summary>Ends the connection after all output is sent, unless it was released. Only the first call counts.</summary>
    public override async ValueTask DisposeAsync()
    {
        // Kestrel's connection limit disposes a connection that Kestrel then disposes again.
        var first = !Interlocked.Exchange(ref _disposed, true);
        if (first)
        {
            bool mustSettle;
            lock (_readSignal)
            {
                // nobody takes it any more but who has asked
                mustSettle = Disposing is not null || _belongings?.Release is not null || _phase == Phase.Stopped;
            }

            if (mustSettle)
            {
                await SettleReleaseAsync();
            }

            _ownTransport.Input.Complete();
            _ownTransport.Output.Complete();
        }

        await _receiving;
        if (_isHeld)
        {
            _input.Complete();
            _ownTransport.Inner.Complete();
        }

        await _sending;
        if (first)
        {
            if (_phase == Phase.Live)
            {
                TryEnd(reason: null, evenIfStopped: true); // the output ended while the connection was stopped
            }

            if (_lingers)
            {
                await LingerAsync();
            }

            if (_phase == Phase.Ended)
            {
                _socket.Dispose(); // one that lingered; not one that was released: it is somebody else's
            }

            await FireConnectionClosedAsync();
            _sender?.Dispose();
            _connectionClosed.Dispose();
            _lane.Registry.Remove(this);
        }

        await base.DisposeAsync();
    }

    /// <summary>Closes the socket, unless it lingers; <see langword="null"/>: all output was sent. The first reason counts.</summary>
    /// <returns>False for a connection that has ended, or is spared because it is being let go.</returns>
    private bool TryEnd(Exception? reason, bool evenIfStopped)
    {
        lock (_readSignal)
        {
            var spared = _phase switch
            {
                Phase.Ended or Phase.Released => true,
                Phase.Stopped or Phase.Releasing => !evenIfStopped || reason is null,
                _ => false,
            };
            if (spared)
            {
                return false;
            }

            // The reason before the phase, both before the socket closes: a receive that fails by it must find them.
            _endReason = reason ?? new ConnectionAbortedException("The send loop has sent all output.");
            _phase = Phase.Ended;
            CloseNeedsLock(reason);
        }

        _readSignal.Give();
        return true;
    }

    private void CloseNeedsLock(Exception? reason)
    {
        Unwatch(); // before the shutdown, which would wake the thread that polls to hear of it
        _ = (LocalEndPoint, RemoteEndPoint); // the application may ask for them yet, and a socket that is closed does not know; a server of HTTP has asked before
        if (reason is not null && !_lane.Settings.FinOnError)
        {
            ConnectionLog.ResetSent(_lane.Logger, this, reason.Message);
            _socket.Close(timeout: 0); // linger of 0 seconds: close(2) resets, socket(7)
            return;
        }

        ConnectionLog.FinSent(_lane.Logger, this, _endReason!.Message);
        _lingers = reason is null && (_lane.Registry.IsDraining || Replayed is not null) && !_peerEnded;

        try
        {
            // Even before a close, which ends nothing while the socket is open elsewhere: with who gave it here, and has not heard yet that it arrived.
            _socket.Shutdown(_lingers ? SocketShutdown.Send : SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            _lingers = false; // the peer, or the application through Socket, was faster: nothing is left to shut down
        }

        if (!_lingers)
        {
            _socket.Dispose();
        }
    }

    private async Task LingerAsync()
    {
        using var limit = new CancellationTokenSource(LingerLimit, _lane.Time);
        try
        {
            int count;
            do
            {
                await _socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, limit.Token);
                using var discarded = _lane.Pool.Rent();
                count = await _socket.ReceiveAsync(discarded.Memory, SocketFlags.None, limit.Token);
            }
            while (count > 0);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The peer keeps its half open for longer than we wait, or is gone: either way there is nothing more to wait for.
        }
    }

    private Exception Unexpected(Exception error)
    {
        _peerEnded = _peerGone = true;
        if (_phase != Phase.Ended)
        {
            ConnectionLog.Failed(_lane.Logger, this, error);
        }

        return error;
    }

    private (Exception Reason, Exception? Unexpected) SendFailure(Exception error)
    {
        switch (error)
        {
            case SocketException { SocketErrorCode: var code } when IsReset(code):
                ConnectionLog.ResetReceived(_lane.Logger, this);
                return (new ConnectionResetException(error.Message, error), null);
            case SocketException
            {
                SocketErrorCode: SocketError.OperationAborted or SocketError.Interrupted or SocketError.InvalidArgument
            }:
            case ObjectDisposedException:
                return (error, null); // the socket was closed meanwhile, so there is a reason already
            default:
                ConnectionLog.Failed(_lane.Logger, this, error);
                return (error, error);
        }
    }

    /// <summary>Not while the socket is being let go: Kestrel would drop what the application still writes.</summary>
    private bool MustFireConnectionClosed() => _phase != Phase.Releasing || _peerEnded || _readerGone;

    private async Task FireConnectionClosedAsync()
    {
        if (Interlocked.Exchange(ref _closedFired, true))
        {
            return;
        }

        // away from the I/O queue, whose other connections wait: what the application registered may block
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            _connectionClosed.Cancel();
        }
        catch (Exception e)
        {
            ConnectionLog.Unexpected(_lane.Logger, ConnectionId, nameof(ConnectionClosed), e);
        }
    }

    // EPIPE is reported as Shutdown
    private static bool IsReset(SocketError error) => error is SocketError.ConnectionReset or SocketError.Shutdown;
}
