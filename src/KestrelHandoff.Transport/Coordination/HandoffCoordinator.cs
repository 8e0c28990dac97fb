using System.Globalization;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Launch;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>One handoff at a time: starts it, watches over it, and sees to it that a failed one leaves this instance serving.</summary>
internal sealed class HandoffCoordinator(
    IOptions<SocketHandoffOptions> options,
    StartedAs startedAs,
    InstanceState state,
    ListenerTable listeners,
    ConnectionRegistry connections,
    ControlServer control,
    Predecessor predecessor,
    Deadlines deadlines,
    Drain drain,
    HandoffMetrics metrics,
    TimeProvider time,
    ILogger<HandoffCoordinator> logger) : ISocketHandoff, IDisposable
{
    private static readonly TimeSpan LastBreath = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stopping = new(); // cancelled when the host stops
    private Handoff? _handoff; // the current or last
    private Task<HandoffReport>? _running;

    public int Generation => state.Generation;

    public HandoffPhase Phase => state.Current.Phase;

    public Task Activated => state.Activated;

    public CancellationToken Retiring => state.Retiring;

    public Task<HandoffReport> HandOffAsync(CancellationToken cancellationToken = default) => HandOffAsync(null, cancellationToken);

    /// <param name="preferredListener">The listener the request came in by; the successor is probed there first.</param>
    /// <param name="cancellationToken">Ends the waiting, not the handoff.</param>
    public Task<HandoffReport> HandOffAsync(string? preferredListener, CancellationToken cancellationToken)
    {
        if (Environment.ProcessId == 1)
        {
            return Task.FromException<HandoffReport>(new HandoffException(
                HandoffFailure.NotPossible,
                "This instance is PID 1: its exit would end the container, and a successor launched here with it. "
                + "Start the successor as a container of its own that shares SocketHandoff:ControlSocketPath and the network namespace."));
        }

        Handoff handoff;
        try
        {
            handoff = Begin("spawned", HandoffSignal.Requested, preferredListener);
        }
        catch (HandoffException e)
        {
            return Task.FromException<HandoffReport>(e);
        }

        _running = RunAsync(handoff, LaunchAsync);
        return _running.WaitAsync(cancellationToken);
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
            var handoff = Begin("independent", HandoffSignal.SuccessorConnected, preferredListener: null);
            _running = RunAsync(handoff, (_, _) => Task.FromResult(greeting));
            return Task.CompletedTask;
        }
        catch (HandoffException e)
        {
            throw new ControlException(ControlProtocol.Reasons.Busy, e.Message, e);
        }
    }

    public HandoffStatus GetStatus()
    {
        var (phase, since) = state.Current;
        return new(
            Environment.ProcessId,
            state.Generation,
            phase,
            since,
            connections.Count,
            [.. listeners.Listeners.Select(listener => listener.EndPoint.ToString() ?? "")],
            _handoff?.Report);
    }

    /// <summary>The host stops: calls a handoff off that is not confirmed yet.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        if (_running is { } running)
        {
            await ((Task)running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose() => _stopping.Dispose();

    private Handoff Begin(string trigger, HandoffSignal signal, string? preferredListener)
    {
        if (!state.TryMove(signal))
        {
            var (phase, since) = state.Current;
            var who = _handoff?.Report.Successor is { } successor ? $" to process {successor.ProcessId}" : "";
            var when = since.ToString("HH:mm:ss'Z'", CultureInfo.InvariantCulture);
            throw new HandoffException(
                HandoffFailure.AlreadyRunning,
                phase is HandoffPhase.Draining or HandoffPhase.Retired
                    ? $"Process {Environment.ProcessId} (generation {state.Generation}) handed over{who} at {when}; ask again on a new connection."
                    : phase < HandoffPhase.Serving
                        ? $"Process {Environment.ProcessId} (generation {state.Generation}) does not serve yet: it is {phase} since {when}."
                        : $"A handoff{who} is under way: {phase} since {when}.");
        }

        var handoff = new Handoff(trigger, state.Generation, time) { PreferredListener = preferredListener };
        _handoff = handoff;
        Log.Begun(logger, handoff.Id, trigger);
        return handoff;
    }

    private async Task<HandoffReport> RunAsync(Handoff handoff, Func<Handoff, CancellationToken, Task<Greeting>> findSuccessor)
    {
        await Task.Yield(); // the caller holds a request, or the control server's loop
        state.Left += handoff.Passed;
        Greeting? greeting = null;
        try
        {
            greeting = await findSuccessor(handoff, _stopping.Token);
            await predecessor.GiveAsync(handoff, greeting, _stopping.Token);
        }
        catch (Exception e)
        {
            throw await FailAsync(handoff, greeting, e);
        }
        finally
        {
            state.Left -= handoff.Passed;
        }

        var report = handoff.End("completed", report => report with { ConnectionsDraining = connections.Count });
        Log.Completed(logger, handoff.Id, report.Successor!.ProcessId, report.DurationMs, report.ConnectionsDraining);
        metrics.Ended(report);
        drain.Begin();
        return report;
    }

    private async Task<Greeting> LaunchAsync(Handoff handoff, CancellationToken cancellationToken)
    {
        var plan = LaunchPlan.Make(startedAs, options.Value);
        if (control.Path is null)
        {
            control.Start(ControlSocket.Bind(PrivateSocket.NewPath()), GreetAsync);
        }

        var process = handoff.Process = SuccessorProcess.Start(plan, control.Path!, handoff.Token);
        Log.Launched(logger, handoff.Id, process.ProcessId, plan.Executable);

        using var watch = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken); // ended when either task has
        var exited = process.WaitForExitAsync(watch.Token);
        var greeted = deadlines.RunAsync(
            HandoffStep.Launch, $"The first word of the successor, process {process.ProcessId},", token => handoff.Greeted.Task.WaitAsync(token), watch.Token);
        var first = await Task.WhenAny(greeted, exited);
        await watch.CancelAsync();
        if (first == exited)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new EndOfStreamException("The successor exited before it had introduced itself.");
        }

        var greeting = await greeted;
        state.Move(HandoffSignal.SuccessorConnected);
        return greeting;
    }

    /// <summary>Puts everything back as it was: the successor is gone, this instance accepts.</summary>
    private async Task<HandoffException> FailAsync(Handoff handoff, Greeting? greeting, Exception e)
    {
        if (greeting is not null)
        {
            await greeting.Channel.RefuseAsync(e, deadlines);
            greeting.Channel.Dispose();
        }

        var exitCode = handoff.Process is { } process ? await EndAsync(process, awaitExit: PeerGone.Is(e)) : null;
        listeners.OpenGates();
        var (failure, detail) = e switch
        {
            HandoffException known => (known.Failure, known.Message),
            OperationCanceledException => (HandoffFailure.Stopped, "The host was stopped while the handoff was under way."),
            _ when PeerGone.Is(e) => (HandoffFailure.SuccessorExited, exitCode is null ? e.Message : $"The successor exited with code {exitCode} before it served."),
            ControlException => (HandoffFailure.ProtocolError, e.Message),
            _ => (HandoffFailure.LaunchFailed, e.Message),
        };
        var report = handoff.End("failed", report => report with
        {
            Failure = failure,
            Detail = detail,
            ExitCode = exitCode,
            StartupOutput = handoff.Process?.Output,
            Successor = report.Successor ?? (handoff.Process is { } launched ? new(launched.ProcessId, state.Generation + 1) : null),
        });
        Log.Failed(logger, handoff.Id, state.Current.Phase, detail, e);
        metrics.Ended(report);
        if (options.Value.ControlSocketPath is null)
        {
            await control.DisposeAsync();
        }

        state.Move(HandoffSignal.Failed);
        return new HandoffException(failure, detail, e) { Report = report };
    }

    /// <summary>The exit code of a successor that ended by itself; null of one that had to be killed.</summary>
    private async Task<int?> EndAsync(SuccessorProcess process, bool awaitExit)
    {
        using var patience = new CancellationTokenSource(awaitExit ? LastBreath : TimeSpan.Zero, time);
        try
        {
            return await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            return null;
        }
    }
}
