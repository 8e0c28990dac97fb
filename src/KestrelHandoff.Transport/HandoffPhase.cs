namespace KestrelHandoff;

/// <summary>Where an instance stands, from its start to its retirement.</summary>
public enum HandoffPhase
{
    /// <summary>The app is starting, and has no predecessor that it knows of.</summary>
    Starting,

    /// <summary>The app is starting with the listeners of a predecessor, which goes on serving.</summary>
    Joining,

    /// <summary>Started and healthy, gates shut: the predecessor probes it and decides.</summary>
    Standby,

    /// <summary>Accepts connections; no handoff is under way.</summary>
    Serving,

    /// <summary>Serving; a successor was launched and has not spoken yet.</summary>
    Launching,

    /// <summary>Serving; the successor has the listeners and starts its app.</summary>
    Offering,

    /// <summary>Serving; the successor answers probe and warm-up requests.</summary>
    Probing,

    /// <summary>Serving; the successor was told to accept and has not said yet that it does.</summary>
    Committing,

    /// <summary>New connections go to the successor, which is watched; this instance serves those it has and can take everything back.</summary>
    Probation,

    /// <summary>The successor has passed; it is told that it is the serving instance.</summary>
    Confirming,

    /// <summary>Another instance serves: the successor, or after a roll-back the predecessor. This one finishes what it has.</summary>
    Draining,

    /// <summary>Nothing is left to serve, or the time for it is over; the host stops.</summary>
    Retired,
}
