using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>One handoff at a time: starts it, watches over it, and lets go when the successor is confirmed.</summary>
internal sealed class HandoffCoordinator(
    IOptions<SocketHandoffOptions> options,
    InstanceState state,
    Admission admission,
    SuccessorLauncher launcher,
    Predecessor predecessor,
    Restoration restoration,
    Migration migration,
    Drain drain,
    PoolFloor poolFloor,
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

    /// <summary>Serving: one that connects while a successor is being launched is another, and takes nothing from under that.</summary>
    private bool IsFree => state is { IsConfirmed: true, Current.Phase: HandoffPhase.Serving };

    /// <summary>Hands off to a successor launched here.</summary>
    /// <param name="preferredListener">The listener the request came in by; the successor is probed there first.</param>
    /// <param name="force">As in <see cref="ISocketHandoff.HandOffAsync"/>.</param>
    /// <param name="cancellationToken">Ends the waiting, not the handoff.</param>
    public Task<HandoffReport> HandOffAsync(string? preferredListener, bool force, CancellationToken cancellationToken)
    {
        using var raised = poolFloor.Raise(); // before anything that is compiled as it runs; the handoff holds it up itself
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
            var handoff = Begin(HandoffTrigger.Independent, HandoffSignal.SuccessorConnected, build: greeting.Hello.Build);
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
            try
            {
                admission.Check(build);
            }
            catch (HandoffException) when (!IsFree)
            {
                throw admission.Busy(_handoff); // which of the two is in the way for longer
            }
        }

        // Before the move: from there to the end of RunAsync nothing may fail without a move back.
        var handoff = new Handoff(trigger, state.Generation, time) { PreferredListener = preferredListener, Build = build };
        lock (_sync)
        {
            if (_isStopping)
            {
                throw new HandoffException(HandoffFailure.Stopped, $"Process {Environment.ProcessId} (generation {state.Generation}) is stopping.");
            }

            if (IsFree && state.TryMove(signal))
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
        var raised = poolFloor.Raise(); // before HandOffAsync lets go of it
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
            try
            {
                throw await restoration.RunAsync(handoff, e, isStopped: _stopping.IsCancellationRequested);
            }
            finally
            {
                raised.Dispose();
                state.Left -= handoff.Passed; // not before: the restoration is in that phase
            }
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
            await Task.WhenAny(migration.WhenSettledAsync(CancellationToken.None), Task.Delay(options.Value.ExchangeTimeout, time)); // also where the host stops: till then not all have been asked
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
}
