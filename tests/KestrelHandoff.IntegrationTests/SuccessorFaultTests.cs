using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What becomes of a handoff whose successor fails, message by message.</summary>
public sealed class SuccessorFaultTests
{
    [Fact]
    public Task Successor_Killed_PredecessorServes() => FaultTable.RunAsync(FaultTable.UntilConfirmed, message => new Fault
    {
        Meet = async (pair, frame) =>
        {
            await TestLibc.KillAsync(pair.Successor.ProcessId);
            return message == "confirmed" ? [] : frame; // heard, it would make this the kill of the only instance
        },
        Lost = Lost.Requests,
    });

    [Fact]
    public Task Successor_Hangs_PredecessorServesAndTheSuccessorLeavesWhenItCan() => FaultTable.RunAsync(FaultTable.UntilConfirmed, message => new Fault
    {
        Meet = async (pair, frame) =>
        {
            await TestLibc.SuspendAsync(pair.Successor.ProcessId);
            return message is "ready" or "accepting" or "checked" or "confirmed" ? [] : frame; // it hung before it could say so
        },
        Recover = async pair =>
        {
            await pair.Predecessor.Output.HearAsync("; this instance "); // "goes on serving", "accepts again"
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigCont);
        },
        Lost = Lost.Requests,
    },
    FaultTable.Impatient);

    /// <summary>Once it may have heard the confirmation it would be the only instance that is told to stop.</summary>
    [Fact]
    public Task Successor_ToldToStop_PredecessorServes() => FaultTable.RunAsync([.. FaultTable.UntilConfirmed.SkipLast(2)], _ => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigTerm);
            return Task.FromResult<byte[]?>(frame);
        },
    },
    "--SocketHandoff:Probation=00:00:05"); // on a loaded machine the signal takes its time, and who is told to stop after the probation is the one that serves
}
