namespace KestrelHandoff.Transport.Coordination;

/// <summary>What can happen to an instance.</summary>
internal enum HandoffSignal
{
    /// <summary>Nobody serves yet: this is the first instance.</summary>
    NoPredecessor,

    /// <summary>A predecessor offered its listeners.</summary>
    Offered,

    /// <summary>The app has started and is healthy.</summary>
    AppReady,

    /// <summary>The predecessor said commit, or died after this instance was ready.</summary>
    Committed,

    /// <summary>Somebody asked for a handoff to a launched successor.</summary>
    Requested,

    /// <summary>A successor has introduced itself.</summary>
    SuccessorConnected,

    /// <summary>The successor's app has started and is healthy.</summary>
    SuccessorReady,

    /// <summary>The successor answered every probe.</summary>
    ProbePassed,

    /// <summary>The successor accepts.</summary>
    SuccessorAccepts,

    /// <summary>The successor was alive and healthy for as long as it had to be.</summary>
    ProbationPassed,

    /// <summary>The successor is the serving instance.</summary>
    Confirmed,

    /// <summary>The handoff failed.</summary>
    Failed,

    /// <summary>The predecessor serves on in this instance's place.</summary>
    RolledBack,

    /// <summary>The last connection is gone, or the time for it.</summary>
    Drained,
}
