using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What becomes of a handoff whose successor fails, message by message.</summary>
public sealed class SuccessorFaultTests
{
    [Fact]
    public Task Successor_Killed_PredecessorServes() => FaultTable.RunAsync(FaultTable.UntilConfirmed, message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigKill);
            return message == "confirmed" ? [] : frame; // heard, it would make this the kill of the only instance
        },
        Lost = Lost.Requests,
    });

    [Fact]
    public Task Successor_Hangs_PredecessorServesAndTheSuccessorLeavesWhenItCan() => FaultTable.RunAsync(FaultTable.UntilConfirmed, message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigStop);
            return message is "ready" or "accepting" or "checked" or "confirmed" ? [] : frame; // it hung before it could say so
        },
        Recover = async pair =>
        {
            await pair.Predecessor.Output.HearAsync("; this instance "); // "goes on serving", "accepts again"
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigCont);
        },
        Lost = Lost.Requests,
    });

    /// <summary>Whoever serves in the end: a successor may die of it.</summary>
    [Fact]
    public Task DescriptorTable_Full_SomebodyServes() => FaultTable.RunAsync(FaultTable.All, _ => Fault.OfFullTable(pair => pair.Successor, Lost.Requests));
}
