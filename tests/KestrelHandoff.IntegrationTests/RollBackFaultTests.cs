using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What becomes of a roll-back in which something fails as well, message by message.</summary>
public sealed class RollBackFaultTests
{
    [Fact]
    public Task Successor_Killed_PredecessorServes() => RunAsync(async (pair, frame) =>
    {
        await TestLibc.KillAsync(pair.Successor.ProcessId);
        return frame;
    });

    [Fact]
    public Task Successor_Hangs_PredecessorServesAndTheSuccessorLeavesWhenItCan() => RunAsync(
        async (pair, frame) =>
        {
            await TestLibc.SuspendAsync(pair.Successor.ProcessId);
            return frame;
        },
        async pair =>
        {
            await pair.Predecessor.Output.HearAsync("; this instance accepts again");
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigCont);
        },
        more: FaultTable.Impatient);

    [Fact]
    public Task Predecessor_StandsStill_ServesWhenItCan() => RunAsync(
        async (pair, frame) =>
        {
            await TestLibc.SuspendAsync(pair.Predecessor.ProcessId);
            return frame;
        },
        pair =>
        {
            TestLibc.Kill(pair.Predecessor.ProcessId, TestLibc.SigCont);
            return Task.CompletedTask;
        });

    /// <summary>Once the successor has heard that it must go, killing its predecessor is killing the only instance.</summary>
    [Fact]
    public Task Predecessor_KilledBeforeItIsHeard_SuccessorServes() => FaultTable.RunAsync(["roll-back"], _ => new Fault
    {
        Meet = async (pair, _) =>
        {
            await TestLibc.KillAsync(pair.Predecessor.ProcessId);
            return [];
        },
        IsSick = true,
        SuccessorServes = true,
        Lost = Lost.Requests,
    });

    [Theory]
    [InlineData("closed")]
    [InlineData("closed in the middle")]
    [InlineData("garbled")]
    public Task Line_TamperedWith_PredecessorServes(string how) => RunAsync((_, frame) => Task.FromResult(LineFaultTests.Tamper(frame, how)), lost: Lost.Nothing);

    private static Task RunAsync(Func<Pair, byte[], Task<byte[]?>> meet, Func<Pair, Task>? recover = null, Lost lost = Lost.Requests, params string[] more) =>
        FaultTable.RunAsync(FaultTable.RollBack, _ => new Fault { Meet = meet, Recover = recover, IsSick = true, Lost = lost }, more);
}
