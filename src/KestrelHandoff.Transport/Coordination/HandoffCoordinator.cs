using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Launch;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>One handoff at a time: starts it, watches over it, and sees to it that a failed one leaves this instance serving.</summary>
internal sealed class HandoffCoordinator(
    IOptions<SocketHandoffOptions> options,
    InstanceState state,
    Admission admission,
    SuccessorLauncher launcher,
    Predecessor predecessor,
    Recall recall,
    FailureStreak streak,
    Migration migration,
    Drain drain,
    HandoffMetrics metrics,
    TimeProvider time,
    ILogger<HandoffCoordinator> logger) : IDisposable
{
    private readonly CancellationTokenSource _stopping = new(); // cancelled when the host stops
    private readonly Lock _sync = new();
    private Handoff? _handoff; // the current or last
    private bool _isStopping;

    /// <summary>The current or last handoff, as far as it has come.</summary>
    public HandoffReport? LastReport => _handoff?.Report;

    /// <summary>Hands off to a successor launched here.</summary>
    /// <param name="preferredListener">The listener the request came in by; the successor is probed there first.</param>
    /// <param name="force">As in <see cref="ISocketHandoff.HandOffAsync"/>.</param>
    /// <param name="cancellationToken">Ends the waiting, not the handoff.</param>
    public Task<HandoffReport> HandOffAsync(string? preferredListener, bool force, CancellationToken cancellationToken)
    {
        Handoff handoff;
        try
        {
            Admission.CheckSurvival(force);
            handoff = Begin(HandoffTrigger.Spawned, HandoffSignal.Requested, preferredListener, launcher.FindBuild(), force);
        }
        catch (HandoffException e)
        {
            return Task.FromException<HandoffReport>(e);
        }

        return Run(handoff, (begun, token) => launcher.LaunchAsync(begun, GreetAsync, token)).WaitAsync(cancellationToken);
    }

    /// <summary>A successor has introduced itself on the control socket.</summary>
    /// <exception cref="ControlException">It may not take over now.</exception>
    public Task GreetAsync(Greeting greeting)
    {
        if (greeting.Hello.Token is { } token)
        {
            return _handoff is { } handoff && handoff.IsToken(token) && handoff.Greeted.TrySetResult(greeting)
                ? Task.CompletedTask
                : throw new ControlException(ControlProtocol.Reasons.Token, "The token is not that of a successor launched here and awaited now.");
        }

        if (options.Value.ControlSocketPath is null)
        {
            throw new ControlException(ControlProtocol.Reasons.Token, "Only the successor launched here may take over, with its token.");
        }

        try
        {
            var handoff = Begin(HandoffTrigger.Independent, HandoffSignal.SuccessorConnected);
            _ = Run(handoff, (_, _) => Task.FromResult(greeting));
            return Task.CompletedTask;
        }
        catch (HandoffException e)
        {
            throw new ControlException(ControlProtocol.Reasons.Busy, e.Message, e);
        }
    }

    /// <summary>The host stops: calls a handoff off that is not confirmed yet.</summary>
    public async Task StopAsync()
    {
        lock (_sync)
        {
            _isStopping = true; // none begins after this
        }

        await _stopping.CancelAsync();
        if (_handoff is { } handoff)
        {
            await handoff.Over.Task;
        }
    }

    public void Dispose() => _stopping.Dispose();

    private Handoff Begin(HandoffTrigger trigger, HandoffSignal signal, string? preferredListener = null, string? build = null, bool force = false)
    {
        if (!force)
        {
            admission.Check(build);
        }

        // Before the move: from there to the end of RunAsync nothing may fail without a move back.
        var handoff = new Handoff(trigger, state.Generation, time) { PreferredListener = preferredListener, Build = build };
        lock (_sync)
        {
            if (_isStopping)
            {
                throw new HandoffException(HandoffFailure.Stopped, $"Process {Environment.ProcessId} (generation {state.Generation}) is stopping.");
            }

            if (state.IsConfirmed && state.TryMove(signal))
            {
                return _handoff = handoff;
            }
        }

        throw admission.Busy(_handoff);
    }

    private Task<HandoffReport> Run(Handoff handoff, Func<Handoff, CancellationToken, Task<Greeting>> findSuccessor)
    {
        var running = RunAsync(handoff, findSuccessor);

        // Observed here: the caller may be gone by the time it fails, and the log and the report tell.
        running.ContinueWith(
            task =>
            {
                _ = task.Exception;
                handoff.Over.SetResult();
            },
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        return running;
    }

    private async Task<HandoffReport> RunAsync(Handoff handoff, Func<Handoff, CancellationToken, Task<Greeting>> findSuccessor)
    {
        await Task.Yield(); // the caller holds a request, or the control server's loop
        state.Left += handoff.Passed;
        IReadOnlySet<string> claimed;
        try
        {
            Log.Begun(logger, handoff.Id, handoff.Report.Trigger);
            handoff.Successor = await findSuccessor(handoff, _stopping.Token);
            claimed = await predecessor.GiveAsync(handoff, handoff.Successor, _stopping.Token);
        }
        catch (Exception e)
        {
            var failure = await FailAsync(handoff, e); // which is in that phase
            state.Left -= handoff.Passed;
            throw failure;
        }

        // The successor is confirmed: whatever goes wrong from here on, it serves and this instance leaves.
        try
        {
            return await LetGoAsync(handoff, handoff.Successor, claimed);
        }
        finally
        {
            drain.Begin(Predecessor.FindWayToTell(handoff.Successor));
        }
    }

    private async Task<HandoffReport> LetGoAsync(Handoff handoff, Greeting successor, IReadOnlySet<string> claimed)
    {
        drain.Prepare();
        state.Move(HandoffSignal.Confirmed);
        state.Left -= handoff.Passed;
        await predecessor.ReleaseAsync(claimed);
        if (successor.Hello.Capabilities.Contains(ControlProtocol.Capabilities.Connections))
        {
            migration.Begin(predecessor.FindWayToMigrate(successor.Channel), claimed.ToDictionary(name => name));
            await Task.WhenAny(migration.WhenSettledAsync(CancellationToken.None), Task.Delay(options.Value.ExchangeTimeout, time));
        }
        else
        {
            migration.Forgo();
        }

        var report = handoff.End(HandoffOutcome.Completed, report => report with
        {
            ConnectionsMigrated = migration.Count,
            ConnectionsDraining = drain.Connections,
        });
        Log.Completed(logger, handoff.Id, report.Successor!.ProcessId, report.DurationMs, report.ConnectionsMigrated, report.ConnectionsDraining);
        metrics.Ended(report);
        return report;
    }

    /// <summary>Puts everything back as it was: this instance accepts, and the successor is gone, or gives back what it has accepted and goes.</summary>
    private async Task<HandoffException> FailAsync(Handoff handoff, Exception e)
    {
        predecessor.TakeBack(); // first: until the successor is gone both accept, which costs no client anything
        var phase = state.Current.Phase;
        var hasClients = phase is HandoffPhase.Committing or HandoffPhase.Probation or HandoffPhase.Confirming;
        var (isDead, exitCode) = await RemoveSuccessorAsync(handoff, e, hasClients);
        predecessor.EndOffer();
        var (failure, detail) = e switch
        {
            HandoffException known => (known.Failure, known.Message),
            OperationCanceledException => (HandoffFailure.Stopped, "The host was stopped while the handoff was under way."),
            _ when PeerGone.Is(e) => (HandoffFailure.SuccessorExited, exitCode is null ? e.Message : $"The successor exited with code {exitCode} {(hasClients ? "during its probation" : "before it served")}."),
            ControlException => (HandoffFailure.ProtocolError, e.Message),
            _ => (HandoffFailure.LaunchFailed, e.Message),
        };
        if (handoff.Process is not null && failure != HandoffFailure.Stopped)
        {
            streak.Add(handoff.Build, detail);
        }

        state.Move(HandoffSignal.Failed);
        var report = handoff.End(hasClients ? HandoffOutcome.RolledBack : HandoffOutcome.Failed, report => report with
        {
            ConnectionsReturned = handoff.Returned,
            ConnectionsLost = hasClients && isDead ? Math.Max(0, handoff.SuccessorConnections - handoff.Returned) : 0,
            Failure = failure,
            Detail = detail,
            ExitCode = exitCode,
            StartupOutput = handoff.Process?.Output,
            Successor = report.Successor ?? (handoff.Process is { } launched ? new(launched.ProcessId, state.Generation + 1) : null),
        });

        // A failure that is known needs no stack trace; the words say it all.
        var unknown = failure == HandoffFailure.LaunchFailed && e is not HandoffException ? e : null;
        if (hasClients)
        {
            Log.RolledBack(logger, handoff.Id, phase, report.ConnectionsReturned, report.ConnectionsLost, detail, unknown);
        }
        else
        {
            Log.Failed(logger, handoff.Id, phase, detail, unknown);
        }

        metrics.Ended(report);
        return new HandoffException(failure, detail, e) { Report = report };
    }

    private async Task<(bool IsDead, int? ExitCode)> RemoveSuccessorAsync(Handoff handoff, Exception reason, bool hasClients)
    {
        try
        {
            await launcher.CloseAsync(handoff);
            var obstacle = hasClients ? await TakeBackConnectionsAsync(handoff, reason) : reason;
            if (obstacle is null)
            {
                return default; // it goes when it has given everything back
            }

            var exitCode = await launcher.EndAsync(handoff, PeerGone.Is(obstacle) ? obstacle : reason);
            return (handoff.Process is not null || PeerGone.Is(obstacle), exitCode); // one that was not launched here is not killed, and serves what it has
        }
        catch (Exception e)
        {
            Log.NotRemoved(logger, handoff.Id, e); // and go on: in this phase the instance would stay for ever
            return default;
        }
    }

    /// <summary>What a successor has accepted comes back, if it lives and can give it.</summary>
    /// <returns>Why not; null if it does.</returns>
    private async Task<Exception?> TakeBackConnectionsAsync(Handoff handoff, Exception reason)
    {
        var isDeaf = PeerGone.Is(reason) || reason is HandoffException { Failure: HandoffFailure.Timeout };
        if (isDeaf || handoff.Successor is not { } successor || !successor.Hello.Capabilities.Contains(ControlProtocol.Capabilities.Probation))
        {
            return reason;
        }

        try
        {
            await recall.BeginAsync(handoff, successor, reason);
            return null;
        }
        catch (Exception e)
        {
            Log.NotReturned(logger, handoff.Id, e);
            return e;
        }
    }
}
