namespace KestrelHandoff;

/// <summary>What happened in one handoff.</summary>
/// <param name="Id">Names the handoff in the answers and logs of both instances.</param>
/// <param name="Trigger">What started it.</param>
/// <param name="StartedAt">When it was asked for.</param>
public sealed record HandoffReport(Guid Id, HandoffTrigger Trigger, DateTimeOffset StartedAt)
{
    /// <summary>How it ended, if it has.</summary>
    public HandoffOutcome Outcome { get; init; }

    /// <summary>The whole handoff, in milliseconds, until this report was completed.</summary>
    public double DurationMs { get; init; }

    /// <summary>The giving instance.</summary>
    public required HandoffInstance Predecessor { get; init; }

    /// <summary>The taking instance, as soon as it is known.</summary>
    public HandoffInstance? Successor { get; init; }

    /// <summary>The phases gone through, in order.</summary>
    public IReadOnlyList<HandoffPhaseDuration> Phases { get; init; } = [];

    /// <summary>Every listener of either instance.</summary>
    public IReadOnlyList<HandoffListenerReport> Listeners { get; init; } = [];

    /// <summary>The probe and warm-up, if they ran.</summary>
    public HandoffProbe? Probe { get; init; }

    /// <summary>Live connections that the successor had taken over when this report was completed: those that were between two requests. More follow as their requests end.</summary>
    public int ConnectionsMigrated { get; init; }

    /// <summary>After a roll-back: connections that the successor had accepted and that had come back when this report was completed. More follow as their requests end.</summary>
    public int ConnectionsReturned { get; init; }

    /// <summary>After a roll-back: connections that the successor had when it was last asked, and that ended with it because it died or had to be killed. One that was not launched here and only closed its line counts as dead.</summary>
    public int ConnectionsLost { get; init; }

    /// <summary>Connections that the predecessor still had when this report was completed.</summary>
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

/// <summary>What starts a handoff.</summary>
public enum HandoffTrigger
{
    /// <summary>A request to the predecessor, which launches the successor: the endpoint, SIGUSR2 or <see cref="ISocketHandoff.HandOffAsync"/>.</summary>
    Spawned,

    /// <summary>A successor that somebody else has started and that has found the predecessor on the control socket.</summary>
    Independent,
}

/// <summary>How a handoff ends.</summary>
public enum HandoffOutcome
{
    /// <summary>It has not ended yet.</summary>
    Running,

    /// <summary>The successor serves.</summary>
    Completed,

    /// <summary>Before the commit: no client was with the successor yet.</summary>
    Failed,

    /// <summary>After the commit: the predecessor serves again. What came back of the successor's connections is <see cref="HandoffReport.ConnectionsReturned"/>, what did not <see cref="HandoffReport.ConnectionsLost"/>.</summary>
    RolledBack,
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
/// <param name="Fate">Who has it now.</param>
public sealed record HandoffListenerReport(string Name, string Address, ListenerFate Fate);

/// <summary>What becomes of a listener.</summary>
public enum ListenerFate
{
    /// <summary>The successor has taken it over from the predecessor.</summary>
    Adopted,

    /// <summary>The successor has bound it.</summary>
    New,

    /// <summary>The successor no longer has it.</summary>
    Closed,
}

/// <summary>The requests that the successor answered before the commit, at the first listener that was probed.</summary>
/// <param name="Requests">How many.</param>
/// <param name="FirstMs">How long the first took, in milliseconds: the cold start that no client saw.</param>
/// <param name="LastMs">How long they took in the end, in milliseconds: the median of the last ten.</param>
public sealed record HandoffProbe(int Requests, double FirstMs, double LastMs);

/// <summary>An instance that has handed over, or was rolled back, and serves what it has left.</summary>
/// <param name="ProcessId">As its own process id namespace numbers it.</param>
/// <param name="Generation">1 for an instance without a predecessor.</param>
/// <param name="Since">When it began to drain.</param>
public sealed record HandoffDrainingInstance(int ProcessId, int Generation, DateTimeOffset Since)
{
    /// <summary>Its open connections.</summary>
    public int Connections { get; init; }

    /// <summary>Live connections that it has given to the instance that took its place.</summary>
    public int ConnectionsMigrated { get; init; }

    /// <summary>Connections that have ended there since it handed over.</summary>
    public int ConnectionsDrained { get; init; }

    /// <summary>Connections that were still open when <see cref="SocketHandoffOptions.DrainTimeout"/> was over; its host then stopped as on SIGTERM.</summary>
    public int ConnectionsAborted { get; init; }

    /// <summary>When it was seen to be gone; null while it lives.</summary>
    public DateTimeOffset? RetiredAt { get; init; }
}

/// <summary>An instance as it stands now.</summary>
public sealed record HandoffStatus
{
    /// <summary>Its process id.</summary>
    public required int ProcessId { get; init; }

    /// <summary>1 for an instance without a predecessor.</summary>
    public required int Generation { get; init; }

    /// <summary>Where it stands.</summary>
    public required HandoffPhase Phase { get; init; }

    /// <summary>When it entered that phase.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Its open connections.</summary>
    public int Connections { get; init; }

    /// <summary>The addresses it is bound to, or was when it handed over.</summary>
    public IReadOnlyList<string> Listeners { get; init; } = [];

    /// <summary>The current or last handoff in which it was the predecessor.</summary>
    public HandoffReport? LastHandoff { get; init; }

    /// <summary>False in a successor until its probation is over: its predecessor may still take everything back.</summary>
    public bool IsConfirmed { get; init; } = true;

    /// <summary>Earlier instances that still drain, the nearest first, and successors that were rolled back and do.</summary>
    public IReadOnlyList<HandoffDrainingInstance> Draining { get; init; } = [];

    /// <summary>The last of them that has gone, with what became of its connections.</summary>
    public HandoffDrainingInstance? LastRetired { get; init; }
}
