using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What becomes of a handoff whose successor can open nothing more (EMFILE).</summary>
public sealed class DescriptorTableFaultTests
{
    /// <summary>Whoever serves in the end: a successor may die of it, so not at its last word.</summary>
    [Fact]
    public Task Full_SomebodyServes() =>
        FaultTable.RunAsync([.. FaultTable.UntilConfirmed.SkipLast(1)], _ => new Fault
        {
            Meet = (pair, frame) =>
            {
                pair.Limit = TestLibc.ForbidDescriptors(pair.Successor.ProcessId, spare: 0);
                return Task.FromResult<byte[]?>(frame);
            },
            Recover = async pair =>
            {
                await pair.Predecessor.Output.HearAsync("; this instance ", " serves, after ");
                TestLibc.LimitDescriptors(pair.Successor.ProcessId, pair.Limit);
            },
            SuccessorServes = null,
            Lost = Lost.Requests,
        },
        FaultTable.Impatient);

    [Fact]
    public async Task TooSmallForTheConnections_ThePredecessorServesThem()
    {
        await using var directory = new TestDirectory();
        var address = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        var predecessor = FaultTable.Start(
            directory, address, "--SocketHandoff:DrainTimeout=00:01:00", "--SocketHandoff:WarmUpRequests=20"); // a cold successor would have assemblies to load, and no descriptor for it
        await predecessor.ServingAsync(1);
        var clients = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => RawHttp.ConnectAsync(address)));
        foreach (var client in clients)
        {
            Assert.Equal("1", (await client.GetAsync("/")).Body);
        }

        AppProcess? successor = null;
        await using var proxy = new ControlProxy(directory.ControlPath, "migrate", frame =>
        {
            TestLibc.ForbidDescriptors(successor!.ProcessId, spare: 55); // for the first groups (30), and for the runtime after them: each new thread takes some, and without one it aborts
            return Task.FromResult<byte[]?>(frame);
        });
        successor = FaultTable.Start(directory, address);
        await successor.ServingAsync(2);
        await predecessor.Output.HearAsync("no more do, the others are served here to their end");

        var answers = new List<string>();
        foreach (var client in clients)
        {
            answers.Add((await client.GetAsync("/")).Body);
            await client.DisposeAsync();
        }

        Assert.Contains("1", answers);
        Assert.Contains("2", answers);
        Assert.Equal(0, await predecessor.ExitCodeAsync());
    }
}
