using KestrelHandoff.Transport.Coordination;
using static KestrelHandoff.HandoffPhase;
using static KestrelHandoff.Transport.Coordination.HandoffSignal;

namespace KestrelHandoff.Tests.Coordination;

public sealed class HandoffMachineTests
{
    private static readonly Dictionary<(HandoffPhase, HandoffSignal), HandoffPhase> Legal = new()
    {
        [(Starting, NoPredecessor)] = Serving,
        [(Starting, Offered)] = Joining,
        [(Joining, AppReady)] = Standby,
        [(Standby, Committed)] = Serving,
        [(Serving, Requested)] = Launching,
        [(Serving, SuccessorConnected)] = Offering,
        [(Launching, SuccessorConnected)] = Offering,
        [(Offering, SuccessorReady)] = Probing,
        [(Probing, ProbePassed)] = Committing,
        [(Committing, SuccessorAccepts)] = Probation,
        [(Probation, ProbationPassed)] = Confirming,
        [(Confirming, Confirmed)] = Draining,
        [(Serving, RolledBack)] = Draining,
        [(Draining, Drained)] = Retired,
        [(Launching, Failed)] = Serving,
        [(Offering, Failed)] = Serving,
        [(Probing, Failed)] = Serving,
        [(Committing, Failed)] = Serving,
        [(Probation, Failed)] = Serving,
        [(Confirming, Failed)] = Serving,
    };

    private static readonly HandoffPhase[] Phases = Enum.GetValues<HandoffPhase>();
    private static readonly HandoffSignal[] Signals = Enum.GetValues<HandoffSignal>();

    [Fact]
    public void Next_EveryPhaseAndSignal_IsTheLegalMoveOrNone() => Assert.All(
        from phase in Phases from signal in Signals select (phase, signal),
        pair => Assert.Equal(
            Legal.TryGetValue(pair, out var next) ? next : (HandoffPhase?)null, HandoffMachine.Next(pair.phase, pair.signal)));

    [Fact]
    public void Next_ValuesOutOfTheEnums_HaveNoMove()
    {
        Assert.Null(HandoffMachine.Next((HandoffPhase)99, Requested));
        Assert.Null(HandoffMachine.Next(Serving, (HandoffSignal)99));
    }

    [Fact]
    public void Next_FailedInAnyPhaseOfAHandoff_ReturnsToServing() => Assert.All(
        Phases.Where(phase => phase is > Serving and < Draining), phase => Assert.Equal(Serving, HandoffMachine.Next(phase, Failed)));

    [Fact]
    public void Next_FromDraining_LeadsOnlyToRetired() => Assert.All(
        Signals, signal => Assert.True(HandoffMachine.Next(Draining, signal) is null or Retired));

    [Fact]
    public void Next_FromRetired_LeadsNowhere() => Assert.All(Signals, signal => Assert.Null(HandoffMachine.Next(Retired, signal)));

    [Fact]
    public void Next_FromStarting_ReachesEveryPhase()
    {
        var reached = new HashSet<HandoffPhase> { Starting };
        for (var before = 0; reached.Count > before;)
        {
            before = reached.Count;
            reached.UnionWith((from phase in reached from signal in Signals select HandoffMachine.Next(phase, signal)).OfType<HandoffPhase>().ToList());
        }

        Assert.Equal(Phases, reached.Order());
    }
}
