using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>
/// One endpoint of this instance. Its gate says whether connections are accepted from the shared socket; connections that are
/// brought in (<see cref="Bring"/>) come out of <see cref="AcceptAsync"/> whatever the gate says.
/// </summary>
internal sealed class HandoffListener : IConnectionListener
{
    private static readonly TimeSpan ShortestBackOff = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(1);

    private readonly ListenerTable _table;
    private readonly ConnectionFactory _connections;
    private readonly int _backlog;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ListenerDescriptor _descriptor;
    private readonly Socket _socket;
    private readonly Lock _sync = new();
    private readonly Queue<ConnectionContext> _brought = new();
    private CancellationTokenSource _wake = new(); // cancelled by whatever changes what a waiting AcceptAsync should do
    private TaskCompletionSource? _stopped; // someone waits until no accept is under way
    private bool _isOpen;
    private bool _isUnbound;
    private bool _isAccepting;
    private TimeSpan _backOff = ShortestBackOff;

    public HandoffListener(
        ListenerTable table, ListenerDescriptor descriptor, ConnectionFactory connections, int backlog, bool isOpen, ILogger logger, TimeProvider time)
    {
        (_table, _descriptor, _connections, _backlog, _isOpen, _logger, _time) = (table, descriptor, connections, backlog, isOpen, logger, time);
        _socket = descriptor.CreateSocket();
        _ = _socket.LocalEndPoint; // asked once: accepted sockets inherit what it remembers (Socket.cs, UpdateAcceptSocket), or ask the kernel each
    }

    public EndPoint EndPoint => _descriptor.LocalEndPoint;

    public ListenerDescriptor Descriptor => _descriptor;

    public string Name => _descriptor.Name;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        await using var registration = cancellationToken.UnsafeRegister(static self => ((HandoffListener)self!).Wake(), this);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            CancellationToken wake;
            bool isOpen;
            lock (_sync)
            {
                if (_brought.TryDequeue(out var connection))
                {
                    return connection;
                }

                if (_isUnbound)
                {
                    return null;
                }

                wake = _wake.Token;
                _isAccepting = isOpen = _isOpen;
            }

            if (!isOpen)
            {
                await WaitAsync(Timeout.InfiniteTimeSpan, wake);
            }
            else if (await TryAcceptAsync(wake) is { } accepted)
            {
                return accepted;
            }
        }
    }

    /// <summary>Adds a connection that did not come from the socket: a probe, or one that moves.</summary>
    /// <returns>False if this listener is unbound: nobody would take the connection.</returns>
    public bool Bring(ConnectionContext connection)
    {
        lock (_sync)
        {
            if (_isUnbound)
            {
                return false;
            }

            _brought.Enqueue(connection);
        }

        Wake();
        return true;
    }

    public void OpenGate()
    {
        lock (_sync)
        {
            if (_isUnbound)
            {
                return;
            }

            _isOpen = true;
            try
            {
                _socket.Listen(_backlog); // of a shared socket it is what the last one has said: from now on what this instance wants
            }
            catch (SocketException)
            {
                // the accept will tell; a backlog is not worth a roll-back
            }
        }

        Wake();
    }

    /// <summary>Stops accepting; when it returns, every connection taken from the queue has been given to the server, and none will be.</summary>
    public Task ShutGateAsync() => StopAcceptingAsync(isUnbound: false);

    /// <summary>Closes this instance's copy for good. Connections can still be brought in: those a successor could not take.</summary>
    public async Task ReleaseAsync()
    {
        await ShutGateAsync();
        Release();
    }

    /// <summary>Closes this instance's copy at once: Kestrel disposes only when its connections are gone, and till then clients would wait unserved.</summary>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _table.Remove(this); // not offered any more, and its name is free for the endpoint's next listener
        await StopAcceptingAsync(isUnbound: true);
        Release();
    }

    public ValueTask DisposeAsync() => UnbindAsync();

    /// <summary>Closes this instance's copy of the listener. Only with the gate shut for good: the number may be used again.</summary>
    private void Release()
    {
        _socket.Dispose();
        _descriptor.Dispose();
    }

    private async Task<ConnectionContext?> TryAcceptAsync(CancellationToken wake)
    {
        try
        {
            // A cancelled accept that had already taken a connection returns it: none is dropped.
            var socket = await _socket.AcceptAsync(wake);
            _backOff = ShortestBackOff;
            return _connections.Create(socket, listenerName: Name);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionAborted or SocketError.ConnectionReset or SocketError.OperationAborted)
        {
            return null; // the client gave up while it was queued
        }
        catch (SocketException e)
        {
            // EMFILE, ENFILE, ENOBUFS, ENOMEM pass; an exception out of AcceptAsync would end Kestrel's loop for good,
            // and a retry without a pause would spin.
            Log.AcceptFailed(_logger, Name, _backOff.TotalMilliseconds, e);
            await WaitAsync(_backOff, wake);
            _backOff = _backOff * 2 < LongestBackOff ? _backOff * 2 : LongestBackOff;
            return null;
        }
        finally
        {
            lock (_sync)
            {
                _isAccepting = false;
                _stopped?.TrySetResult();
                _stopped = null;
            }
        }
    }

    private async Task WaitAsync(TimeSpan time, CancellationToken wake) =>
        await Task.Delay(time, _time, wake).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private Task StopAcceptingAsync(bool isUnbound)
    {
        Task stopped;
        lock (_sync)
        {
            _isOpen = false;
            _isUnbound |= isUnbound;
            stopped = _isAccepting
                ? (_stopped ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task
                : Task.CompletedTask;
        }

        Wake();
        return stopped;
    }

    private void Wake()
    {
        CancellationTokenSource wake;
        lock (_sync)
        {
            (wake, _wake) = (_wake, new CancellationTokenSource());
        }

        wake.Cancel();
        wake.Dispose();
    }
}
