using System.Net.Sockets;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Launch;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The handoff's part in the host's life: look for a predecessor before the server binds, say Ready when the app has started, leave last.</summary>
internal sealed class HandoffLifecycle(
    IOptions<SocketHandoffOptions> options,
    InstanceState state,
    Deadlines deadlines,
    Successor successor,
    SignOfLife signOfLife,
    StartedAs startedAs,
    Withdrawal withdrawal,
    HandoffCoordinator coordinator,
    Recall recall,
    Drain drain,
    ControlServer control,
    PoolFloor poolFloor,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<HandoffLifecycle> logger,
    ISuccessorProbe? probe = null) : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private bool _hasPredecessor;
    private bool _isOrphan; // started as a successor, but the predecessor was gone before it had offered everything
    private Task _following = Task.CompletedTask;
    private IDisposable? _raised; // the pool's floor, until the predecessor has gone
    private volatile bool _isStopping;

    /// <summary>Who stops the host itself (<see cref="IHost.StopAsync"/>) has its services told before <see cref="IHostApplicationLifetime.ApplicationStopping"/>.</summary>
    private bool IsHostStopping => _isStopping || lifetime.ApplicationStopping.IsCancellationRequested;

    /// <summary>Before anything starts, so before the server binds.</summary>
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        // What a predecessor passes counts against this instance's own limit.
        Libc.RaiseDescriptorLimit();
        LoadAhead();
        var path = Take(LaunchPlan.SocketVariable) ?? options.Value.ControlSocketPath;
        var token = Take(LaunchPlan.TokenVariable);
        successor.IsLaunched = token is not null;
        successor.Priority = Take(LaunchPlan.PriorityVariable);
        var own = options.Value.ControlSocketPath;
        using var alone = own is null ? null : await LockAsync(own, cancellationToken);
        _hasPredecessor = path is not null && await TryJoinAsync(path, token, cancellationToken);
        _isOrphan |= !_hasPredecessor && token is not null;
        if (!_hasPredecessor && own is not null)
        {
            // Now, not when the app has started: an instance that starts a moment later must find this one.
            control.Start(ControlSocket.Bind(own), coordinator.GreetAsync);
        }

        lifetime.ApplicationStarted.Register(() => _following = FollowAsync());
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _isStopping = true;
        await LetPredecessorTakeBackAsync(cancellationToken);
        await _stopping.CancelAsync();
        await Task.WhenAll(coordinator.StopAsync(), _following).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

        // Before the server stops, which may take long: an instance that is started meanwhile must find nobody rather than one that leaves.
        await control.DisposeAsync();
        recall.Stop();
        await drain.StopAsync().WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose()
    {
        _stopping.Dispose();
        _raised?.Dispose();
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private Task<IDisposable> LockAsync(string path, CancellationToken cancellationToken) => deadlines.RunAsync(
        HandoffStep.Exchange, $"The lock {path}.lock of an instance that starts", stop => StartLock.TakeAsync(path, time, stop), cancellationToken);

    private async Task<bool> TryJoinAsync(string path, string? token, CancellationToken cancellationToken)
    {
        signOfLife.Path = path;
        ControlChannel channel;
        try
        {
            channel = await deadlines.ConnectAsync(path, cancellationToken);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
        {
            Log.NoPredecessor(logger, path);
            return false;
        }

        _raised = poolFloor.Raise();
        try
        {
            await successor.JoinAsync(channel, token, cancellationToken);
            control.Chain = signOfLife.Chain ?? control.Chain;
            return true;
        }
        catch (Exception e) when (PeerGone.Is(e))
        {
            // It died before it had offered everything; its listeners are free, or in the table.
            channel.Dispose();
            await signOfLife.EnsureGoneAsync(cancellationToken);
            Log.NoPredecessor(logger, path);
            _isOrphan = true;
            return false;
        }
        catch
        {
            channel.Dispose(); // the predecessor need not wait to see that nobody comes
            throw;
        }
    }

    /// <summary>After the app has started. Never throws: what goes wrong here ends the instance in order.</summary>
    private async Task FollowAsync()
    {
        try
        {
            if (!_hasPredecessor)
            {
                if (_isOrphan)
                {
                    successor.Inherit();
                }

                state.Move(HandoffSignal.NoPredecessor);
                return;
            }

            var (socket, isAlone) = await successor.StandByAsync(_stopping.Token);
            await TakeControlAsync(socket, _stopping.Token);
            state.IsConfirmed = true; // only now: a handoff from here needs the control socket
            if (isAlone)
            {
                Log.Alone(logger);
            }
            else
            {
                await successor.WaitForRetirementAsync(_stopping.Token);
            }
        }
        catch (OperationCanceledException) when (IsHostStopping)
        {
            // the host stops
        }
        catch (Exception e) when (state.IsConfirmed && e is not (HandoffException or RolledBackException))
        {
            Log.NotFollowed(logger, e); // nobody else serves
        }
        catch (Exception e)
        {
            if (!IsHostStopping)
            {
                Environment.ExitCode = 1; // not where it was told to stop, on probation, and has been rolled back for that
            }

            await LeaveAsync(e);
        }
        finally
        {
            _raised?.Dispose();
        }
    }

    /// <summary>Stopped on probation: what this instance has accepted goes back before the server stops.</summary>
    private async Task LetPredecessorTakeBackAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await successor.AskToBeRolledBackAsync(cancellationToken))
            {
                await _following.WaitAsync(cancellationToken);
            }
        }
        catch (Exception e) when (e is HandoffException or OperationCanceledException)
        {
            Log.NotTakenBack(logger, e.Message);
        }
    }

    private async Task LeaveAsync(Exception reason)
    {
        try
        {
            (await control.StopAsync())?.Release(); // the path is the predecessor's
            if (state.Current.Phase == HandoffPhase.Serving)
            {
                Log.MustLeave(logger, reason.Message);
                await withdrawal.RunAsync(reason as RolledBackException, _stopping.Token); // which stops the app in the end
                return;
            }
        }
        catch (Exception e)
        {
            reason = e;
        }

        lifetime.StopApplication();
        Log.MustNotServe(logger, reason);
    }

    /// <summary>Answers the control socket from now on: the one that moved here, or a new one.</summary>
    private async Task TakeControlAsync(ControlSocket? moved, CancellationToken cancellationToken)
    {
        var path = options.Value.ControlSocketPath;
        if (moved is not null && moved.Path != path)
        {
            moved.Dispose();
            moved = null;
        }

        if (path is null)
        {
            return;
        }

        try
        {
            using var alone = moved is null ? await LockAsync(path, cancellationToken) : null;
            control.Start(moved ?? ControlSocket.Bind(path), coordinator.GreetAsync);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException or HandoffException)
        {
            Log.NoControlSocket(logger, path, e); // this instance is the only one that serves, and goes on
        }
    }

    /// <summary>
    /// Loads the assemblies that a handoff needs and nothing before it. Later their files may be those of the next release, or no file may be opened (EMFILE);
    /// and the runtime remembers a load that has failed: this instance could never hand over again. Also has compiled what tells
    /// one build from another, which the request for a handoff asks first: that takes a pool thread 20 ms, and on two cores there are two, which clients wait for.
    /// </summary>
    private void LoadAhead()
    {
        _ = LaunchPlan.FindBuild(startedAs, options.Value);
        GC.KeepAlive((Type[])[typeof(System.Diagnostics.Process), typeof(System.IO.Pipes.AnonymousPipeServerStream)]);
        probe?.LoadAhead();
    }

    /// <summary>Reads a variable meant for this process and takes it away, so that nothing started from here has it.</summary>
    private static string? Take(string name)
    {
        var value = Environment.GetEnvironmentVariable(name);
        Environment.SetEnvironmentVariable(name, null);
        return value;
    }
}
