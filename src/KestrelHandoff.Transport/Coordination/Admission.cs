using System.Globalization;
using KestrelHandoff.Transport.Launch;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>Whether a handoff may begin now; if not, why, and what to do about it.</summary>
internal sealed class Admission(IOptions<SocketHandoffOptions> options, InstanceState state, Lineage lineage, FailureStreak streak)
{
    // systemd.exec(5): the process id of the unit's main process. Those it launches inherit it, and do not match.
    private const string SystemdMainProcess = "SYSTEMD_EXEC_PID";

    /// <summary>Whether a successor launched here would outlive this process.</summary>
    /// <exception cref="HandoffException">It would be ended with this one, after a handoff that had gone well.</exception>
    public static void CheckSurvival(bool force)
    {
        if (Environment.ProcessId == 1)
        {
            throw new HandoffException(
                HandoffFailure.NotPossible,
                "This instance is PID 1: its exit would end the container, and a successor launched here with it. "
                + "Start the successor as a container of its own that shares SocketHandoff:ControlSocketPath and the network namespace.");
        }

        if (!force && Environment.GetEnvironmentVariable(SystemdMainProcess) == Environment.ProcessId.ToString(CultureInfo.InvariantCulture))
        {
            throw new HandoffException(
                HandoffFailure.NotPossible,
                $"This instance, process {Environment.ProcessId}, is the main process of a systemd unit, which ends with it and takes a successor launched here along. "
                + "Start the successor as a second unit with the same SocketHandoff:ControlSocketPath; or, if the unit goes on without this process, insist with POST …?force=true.");
        }
    }

    /// <param name="build">What would be launched, or what an independent successor says it is; null if it does not say.</param>
    /// <exception cref="HandoffException">Too much has failed, or drains.</exception>
    public void Check(string? build)
    {
        if (build is not null)
        {
            streak.Check(build);
        }

        CheckDraining();
    }

    /// <summary>Who is in the way, and since when.</summary>
    /// <param name="last">The current or last handoff of this instance.</param>
    public HandoffException Busy(Handoff? last)
    {
        var (phase, since) = state.Current;
        var who = last?.Report.Successor is { } successor ? $" to process {successor.ProcessId}" : "";
        var when = since.ToString("HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        return new(
            HandoffFailure.AlreadyRunning,
            phase is HandoffPhase.Draining or HandoffPhase.Retired
                ? $"Process {Environment.ProcessId} (generation {state.Generation}) handed over{who} at {when}; ask again on a new connection."
                : phase < HandoffPhase.Serving || !state.IsConfirmed
                    ? $"Process {Environment.ProcessId} (generation {state.Generation}) is itself taking over: {phase} since {when}."
                    : $"A handoff{who} is under way: {phase} since {when}.");
    }

    /// <summary>Long-lived connections hold each instance to its DrainTimeout: without a limit a deploy tool could fill the machine with them.</summary>
    private void CheckDraining()
    {
        var draining = lineage.Draining;
        if (draining.Count >= options.Value.MaxDraining)
        {
            throw new HandoffException(
                HandoffFailure.TooManyDraining,
                $"{draining.Count} earlier instances still drain: {string.Join("; ", draining.Select(Describe))}. "
                + $"Ask again when one has gone ({SocketHandoffOptions.SectionName}:{nameof(SocketHandoffOptions.DrainTimeout)}), "
                + $"or insist with POST …?force=true ({SocketHandoffOptions.SectionName}:{nameof(SocketHandoffOptions.MaxDraining)} is {options.Value.MaxDraining}).");
        }

        static string Describe(HandoffDrainingInstance instance) => string.Create(
            CultureInfo.InvariantCulture,
            $"process {instance.ProcessId} (generation {instance.Generation}) since {instance.Since:HH:mm:ss'Z'} with {instance.Connections} connections");
    }
}
