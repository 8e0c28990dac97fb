using static KestrelHandoff.HandoffPhase;
using static KestrelHandoff.Transport.Coordination.HandoffSignal;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The whole machine: every legal move, and nothing else. Any failure before the end of Confirming ends in a predecessor that serves on.</summary>
internal static class HandoffMachine
{
    /// <summary>The phase after <paramref name="signal"/>; null if the signal has no meaning in this phase.</summary>
    public static HandoffPhase? Next(HandoffPhase phase, HandoffSignal signal) => (phase, signal) switch
    {
        (Starting, NoPredecessor) => Serving,
        (Starting, Offered) => Joining,
        (Joining, AppReady) => Standby,
        (Standby, Committed) => Serving,

        (Serving, Requested) => Launching,
        (Serving or Launching, SuccessorConnected) => Offering,
        (Offering, SuccessorReady) => Probing,
        (Probing, ProbePassed) => Committing,
        (Committing, SuccessorAccepts) => Probation,
        (Probation, ProbationPassed) => Confirming,

        // The point of no return: from here Failed is no legal signal any more.
        (Confirming, Confirmed) => Draining,
        (Launching or Offering or Probing or Committing or Probation or Confirming, Failed) => Serving,

        (Serving, RolledBack) => Draining,
        (Draining, Drained) => Retired,
        _ => null,
    };
}
