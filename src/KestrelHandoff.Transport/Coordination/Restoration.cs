using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Launch;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>After a handoff that failed: puts everything back as it was. This instance accepts, and the successor is gone, or gives back what it has accepted and goes.</summary>
internal sealed class Restoration(
    InstanceState state,
    SuccessorLauncher launcher,
    Predecessor predecessor,
    Recall recall,
    FailureStreak streak,
    HandoffMetrics metrics,
    ILogger<Restoration> logger)
{
    /// <param name="handoff">The handoff that failed.</param>
    /// <param name="e">What it failed of.</param>
    /// <param name="isStopped">The host stops.</param>
    /// <returns>What the caller of the handoff is told.</returns>
    public async Task<HandoffException> RunAsync(Handoff handoff, Exception e, bool isStopped)
    {
        predecessor.TakeBack(); // first: until the successor is gone both accept, which costs no client anything
        if (isStopped && e is OperationCanceledException)
        {
            e = new HandoffException(HandoffFailure.Stopped, "The host of the predecessor was stopped while the handoff was under way.", e);
        }

        var phase = state.Current.Phase;
        var hasClients = phase is HandoffPhase.Committing or HandoffPhase.Probation or HandoffPhase.Confirming;
        bool isDead;
        int? exitCode;
        try
        {
            (isDead, exitCode) = await RemoveSuccessorAsync(handoff, e, hasClients);
        }
        catch
        {
            state.Move(HandoffSignal.Failed); // a logger that throws: in this phase the instance would stay for ever
            throw;
        }
        finally
        {
            predecessor.EndOffer();
        }

        var (failure, detail) = e switch
        {
            HandoffException known => (known.Failure, known.Message),
            _ when PeerGone.Is(e) => (HandoffFailure.SuccessorExited, exitCode is null ? e.Message : $"The successor exited with code {exitCode} {(hasClients ? "during its probation" : "before it served")}."),
            ControlException => (HandoffFailure.ProtocolError, e.Message),
            _ => (HandoffFailure.LaunchFailed, e.Message),
        };
        if (handoff.Build is not null && IsOfTheBuild(handoff, failure, hasClients))
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

    /// <summary>Of one that was not launched here only what clients had to do with, and not what it asked for itself: a start that fails costs nothing, and who started it decides.</summary>
    private static bool IsOfTheBuild(Handoff handoff, HandoffFailure failure, bool hasClients) =>
        failure != HandoffFailure.Stopped && (handoff.Process is not null || (hasClients && failure != HandoffFailure.Refused));

    private async Task<(bool IsDead, int? ExitCode)> RemoveSuccessorAsync(Handoff handoff, Exception reason, bool hasClients)
    {
        try
        {
            await launcher.CloseAsync(handoff);
            if (handoff is { Process: null, IsOffered: true, Successor: { } heir } && reason is HandoffException { Failure: HandoffFailure.Stopped })
            {
                predecessor.LeavePaths();
                await launcher.LeaveToAsync(heir);
                return default;
            }

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
            Log.NotRemoved(logger, handoff.Id, e);
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
