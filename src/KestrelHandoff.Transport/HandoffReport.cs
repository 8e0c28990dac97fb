namespace KestrelHandoff.Transport;

/// <summary>What happened in one handoff.</summary>
/// <param name="Id">Names the handoff in the answers and logs of both instances.</param>
/// <param name="Trigger">What started it: <c>spawned</c> or <c>independent</c>.</param>
/// <param name="StartedAt">When it was asked for.</param>
public sealed record HandoffReport(Guid Id, string Trigger, DateTimeOffset StartedAt)
{
    /// <summary><c>running</c>, <c>completed</c>, <c>failed</c> before the commit, or <c>rolledBack</c> after it.</summary>
    public string Outcome { get; init; } = "running";

    /// <summary>The whole handoff, in milliseconds, up to the begin of the drain.</summary>
    public double DurationMs { get; init; }

    /// <summary>The giving instance.</summary>
    public required HandoffInstance Predecessor { get; init; }

    /// <summary>The taking instance, as soon as it is known.</summary>
    public HandoffInstance? Successor { get; init; }

    /// <summary>The phases gone through, in order.</summary>
    public IReadOnlyList<HandoffPhaseDuration> Phases { get; init; } = [];

    /// <summary>Every listener of either instance.</summary>
    public IReadOnlyList<HandoffListenerFate> Listeners { get; init; } = [];

    /// <summary>The probe and warm-up, if they ran.</summary>
    public HandoffProbe? Probe { get; init; }

    /// <summary>Live connections that the successor had taken over when the answer was written: those that were between two requests. More follow as their requests end.</summary>
    public int ConnectionsMigrated { get; init; }

    /// <summary>After a roll-back: connections that the successor had accepted and that had come back when the answer was written. More follow as their requests end.</summary>
    public int ConnectionsReturned { get; init; }

    /// <summary>After a roll-back: connections that the successor had when it was last asked, and that ended with it because it died or had to be killed. One that was not launched here and only closed its line counts as dead.</summary>
    public int ConnectionsLost { get; init; }

    /// <summary>Connections the predecessor still had when it began to drain.</summary>
    public int ConnectionsDraining { get; init; }

    /// <summary>Why it failed.</summary>
    public HandoffFailure? Failure { get; init; }

    /// <summary>The failure in words.</summary>
    public string? Detail { get; init; }

    /// <summary>The exit code of a successor that exited.</summary>
    public int? ExitCode { get; init; }

    /// <summary>The end of what a launched successor wrote to stdout and stderr, if the handoff failed.</summary>
    public string? StartupOutput { get; init; }
}

/// <summary>One side of a handoff.</summary>
/// <param name="ProcessId">As its own process id namespace numbers it.</param>
/// <param name="Generation">1 for an instance without a predecessor.</param>
public sealed record HandoffInstance(int ProcessId, int Generation);

/// <summary>How long one phase took.</summary>
/// <param name="Phase">The phase.</param>
/// <param name="DurationMs">Milliseconds.</param>
public sealed record HandoffPhaseDuration(HandoffPhase Phase, double DurationMs);

/// <summary>What became of one listener.</summary>
/// <param name="Name">The configured endpoint, such as <c>tcp:127.0.0.1:0</c>.</param>
/// <param name="Address">The address it is bound to, such as <c>127.0.0.1:40213</c>.</param>
/// <param name="Fate"><c>adopted</c> by the successor, <c>new</c> in the successor, or <c>closed</c>: the successor no longer has it.</param>
public sealed record HandoffListenerFate(string Name, string Address, string Fate);

/// <summary>The requests the successor answered before the commit.</summary>
/// <param name="Requests">How many.</param>
/// <param name="FirstMs">How long the first took, in milliseconds: the cold start that no client saw.</param>
/// <param name="LastMs">The median of the last ten, in milliseconds.</param>
public sealed record HandoffProbe(int Requests, double FirstMs, double LastMs);

/// <summary>An instance that has handed over, or was rolled back, and serves what it has left.</summary>
/// <param name="ProcessId">As its own process id namespace numbers it.</param>
/// <param name="Generation">1 for an instance without a predecessor.</param>
/// <param name="Since">When it began to drain.</param>
public sealed record HandoffDraining(int ProcessId, int Generation, DateTimeOffset Since)
{
    /// <summary>Its open connections.</summary>
    public int Connections { get; init; }

    /// <summary>Live connections that it has given to the instance that took its place.</summary>
    public int ConnectionsMigrated { get; init; }

    /// <summary>Connections that have ended there since it handed over.</summary>
    public int ConnectionsDrained { get; init; }

    /// <summary>Connections that were still open when its time was up, and were closed with it.</summary>
    public int ConnectionsAborted { get; init; }

    /// <summary>When it was seen to be gone; null while it lives.</summary>
    public DateTimeOffset? RetiredAt { get; init; }
}

/// <summary>An instance as it stands now.</summary>
/// <param name="ProcessId">Its process id.</param>
/// <param name="Generation">1 for an instance without a predecessor.</param>
/// <param name="Phase">Where it stands.</param>
/// <param name="Since">When it entered that phase.</param>
/// <param name="Connections">Its open connections.</param>
/// <param name="Listeners">The addresses it is bound to.</param>
/// <param name="LastHandoff">The current or last handoff in which it was the predecessor.</param>
public sealed record HandoffStatus(
    int ProcessId,
    int Generation,
    HandoffPhase Phase,
    DateTimeOffset Since,
    int Connections,
    IReadOnlyList<string> Listeners,
    HandoffReport? LastHandoff)
{
    /// <summary>Earlier instances that still drain, the nearest first, and successors that were rolled back and do.</summary>
    public IReadOnlyList<HandoffDraining> Draining { get; init; } = [];

    /// <summary>The last of them that has gone, with what became of its connections.</summary>
    public HandoffDraining? LastRetired { get; init; }
}
