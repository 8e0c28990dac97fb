using System.Net.Sockets;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Interop;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Control;

/// <summary>Answers the control socket: checks who calls, and gives those who may to the coordinator.</summary>
internal sealed class ControlServer(Deadlines deadlines, TimeProvider time, ILogger<ControlServer> logger) : IAsyncDisposable
{
    private static readonly TimeSpan PauseAfterFault = TimeSpan.FromMilliseconds(100);

    /// <summary>How often the path is looked at: cleaners of temporary directories delete sockets that have not been touched for days.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(10);

    /// <summary>Where another instance answered at the path: it logs each look.</summary>
    private static readonly TimeSpan LookAtAnother = TimeSpan.FromMinutes(10);

    private ControlSocket? _socket;
    private Func<Greeting, Task>? _greet;
    private CancellationTokenSource? _stop;
    private Task _accepting = Task.CompletedTask;

    /// <summary>The first generation draws it, and each successor takes it over: one that is started anew, where a predecessor has died, is of another.</summary>
    public Guid Chain { get; set; } = Guid.NewGuid();

    public string? Path => _socket?.Path;

    /// <summary>Begins to answer. <paramref name="greet"/> takes a successor, or throws <see cref="ControlException"/> to refuse it.</summary>
    public void Start(ControlSocket socket, Func<Greeting, Task> greet)
    {
        _greet = greet;
        Resume(socket);
    }

    /// <summary>Stops answering and gives the socket away; who connects from now on waits in its backlog.</summary>
    public async Task<ControlSocket?> StopAsync()
    {
        if (_stop is not null)
        {
            await _stop.CancelAsync();
            await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
            _stop = null;
        }

        var socket = _socket;
        _socket = null;
        return socket;
    }

    public void Resume(ControlSocket? socket)
    {
        if (socket is not null)
        {
            _socket = socket;
            _stop = new CancellationTokenSource();
            _accepting = AcceptAsync(socket, _stop.Token);
        }
    }

    public async ValueTask DisposeAsync() => (await StopAsync())?.Dispose();

    private async Task AcceptAsync(ControlSocket socket, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            using var wake = CancellationTokenSource.CreateLinkedTokenSource(stop);
            var accepting = socket.AcceptAsync(wake.Token);
            ControlSocket? restored = null;
            var pause = Look;
            while (restored is null && await Task.WhenAny(accepting, Task.Delay(pause, time, wake.Token)) != accepting && !stop.IsCancellationRequested)
            {
                // The same accept from look to look: the runtime would keep each one that is cancelled until somebody connects.
                (restored, pause) = socket.Listener.HasOwnedFile ? (null, Look) : await RestoreAsync(socket.Path, stop);
            }

            await wake.CancelAsync();
            try
            {
                _ = AnswerAsync(await accepting);
            }
            catch (OperationCanceledException)
            {
                // stopped, or nobody can connect there any more
            }
            catch (SocketException e)
            {
                Log.ControlAcceptFailed(logger, socket.Path, e);
                await Task.Delay(PauseAfterFault, TimeProvider.System, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            if (restored is not null)
            {
                socket.Release();
                _socket = socket = restored;
            }
        }
    }

    /// <summary>Somebody has deleted the path, or put a socket of his own there: no successor would find this instance.</summary>
    /// <returns>The new one; null if it cannot be made now, and when to look again.</returns>
    private async Task<(ControlSocket? Restored, TimeSpan Pause)> RestoreAsync(string path, CancellationToken stop)
    {
        try
        {
            if (await IsAnsweredAsync(path, stop))
            {
                Log.ControlTaken(logger, path);
                return (null, LookAtAnother);
            }

            var restored = ControlSocket.Bind(path);
            Log.ControlRestored(logger, path);
            return (restored, Look);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException or HandoffException)
        {
            Log.NoControlSocket(logger, path, e);
        }
        catch (OperationCanceledException)
        {
            // stopped
        }

        return (null, Look);
    }

    private async Task<bool> IsAnsweredAsync(string path, CancellationToken stop)
    {
        try
        {
            using var other = await deadlines.ConnectAsync(path, stop);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            return false;
        }
    }

    private async Task AnswerAsync(ControlChannel channel)
    {
        try
        {
            // 0600 and a private directory keep others out; this holds even where somebody has loosened them.
            if (channel.Peer.UserId != Libc.EffectiveUser())
            {
                throw new ControlException(
                    ControlProtocol.Reasons.User, $"uid {channel.Peer.UserId} may not take over from uid {Libc.EffectiveUser()}.");
            }

            var (hello, _) = await deadlines.ExpectAsync<Hello>(channel, HandoffStep.Exchange, CancellationToken.None);
            CheckVersion(hello);
            await _greet!(new Greeting(channel, hello));
        }
        catch (Exception e)
        {
            Log.ControlRefused(logger, channel.Peer.ProcessId, channel.Peer.UserId, e.Message);
            await channel.RefuseAsync(e, deadlines, Chain);
            channel.Dispose();
        }
    }

    private static void CheckVersion(Hello hello)
    {
        if (hello.Version < ControlProtocol.MinVersion || hello.MinVersion > ControlProtocol.Version)
        {
            throw new ControlException(
                ControlProtocol.Reasons.Version,
                $"The successor speaks the versions {hello.MinVersion} to {hello.Version}, this instance {ControlProtocol.MinVersion} to {ControlProtocol.Version}.");
        }
    }
}
