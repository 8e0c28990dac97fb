using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What becomes of a handoff whose predecessor fails, message by message.</summary>
public sealed class PredecessorFaultTests
{
    [Fact]
    public Task Predecessor_Killed_SuccessorServes() => FaultTable.RunAsync(FaultTable.All, message => new Fault
    {
        Meet = async (pair, frame) =>
        {
            await TestLibc.KillAsync(pair.Predecessor.ProcessId);
            return LeavesNothing(message) ? null : frame;
        },
        SuccessorServes = true,
        StartsAnew = LeavesNothing(message),
        Lost = LeavesNothing(message) ? Lost.Connects : Lost.Requests,
    });

    [Fact]
    public Task Predecessor_StandsStill_HandoffGoesOn() => FaultTable.RunAsync(FaultTable.All, message => new Fault
    {
        Meet = async (pair, frame) =>
        {
            await TestLibc.SuspendAsync(pair.Predecessor.ProcessId);
            return frame;
        },
        Recover = async pair =>
        {
            if (Array.IndexOf(FaultTable.All, message) >= Array.IndexOf(FaultTable.All, "accepting"))
            {
                await pair.AnsweredByAsync(pair.Generation + 1).OrHang(); // meanwhile the successor serves
            }

            TestLibc.Kill(pair.Predecessor.ProcessId, TestLibc.SigCont);
        },
        SuccessorServes = true,
    });

    /// <summary>
    /// From the commit on the successor may have clients: a stop of the predecessor ends in a confirmation. Before it the successor, which nobody launched here, goes on by itself;
    /// the predecessor stops as any app does, and closes what has not asked yet.
    /// </summary>
    [Fact]
    public Task Predecessor_ToldToStopAfterTheOffer_SuccessorServes() => FaultTable.RunAsync([.. FaultTable.All.SkipWhile(message => message != "ready")], message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Predecessor.ProcessId, TestLibc.SigTerm);
            return Task.FromResult<byte[]?>(frame);
        },
        SuccessorServes = true,
        Lost = message is "ready" or "probe" ? Lost.Requests : Lost.Nothing,
    });

    /// <summary>Before it has offered everything, the predecessor leaves nothing to go on with: the successor binds anew.</summary>
    private static bool LeavesNothing(string message) => message is "hello" or "welcome" or "offer";
}
