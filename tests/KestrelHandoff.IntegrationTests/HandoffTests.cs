using System.Globalization;
using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>The main job on real processes.</summary>
public sealed class HandoffTests
{
    [Fact]
    public async Task Post_Port0_SuccessorServesTheSamePortAndPredecessorExits()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start();
        var first = await app.ServingAsync(1);
        var client = await app.ClientAsync();

        await client.HandOffAsync();

        var second = await app.ServingAsync(2);
        Assert.Equal(first.Addresses, second.Addresses);
        Assert.NotEqual(first.ProcessId, second.ProcessId);
        Assert.Equal("2", await client.TextAsync("/"));
        Assert.Equal(0, await app.ExitCodeAsync());
        Assert.Equal("2", await client.TextAsync("/"));
    }

    [Fact]
    public async Task Post_Succeeds_ReportTellsPidsPhasesListenersAndProbe()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start();
        var first = await app.ServingAsync(1);
        var client = await app.ClientAsync();

        var report = await client.HandOffAsync();

        var second = await app.ServingAsync(2);
        Assert.Equal("application/json", report.ContentType);
        Assert.False(report.IsLast); // the connection moves when this answer is sent
        Assert.Equal(("spawned", "completed"), (report.Text("trigger"), report.Text("outcome")));
        Assert.Equal((first.ProcessId, 1), (report.Number("predecessor.processId"), report.Number("predecessor.generation")));
        Assert.Equal((second.ProcessId, 2), (report.Number("successor.processId"), report.Number("successor.generation")));
        Assert.True(Guid.TryParse(report.Text("id"), out _));
        Assert.True(report["durationMs"].GetDouble() > 0);
        Assert.Equal(
            ["launching", "offering", "probing", "committing", "probation", "confirming"],
            report["phases"].EnumerateArray().Select(phase => phase.GetProperty("phase").GetString()!));
        var listener = Assert.Single(report["listeners"].EnumerateArray());
        Assert.Equal("tcp:127.0.0.1:0", listener.GetProperty("name").GetString());
        Assert.Equal(new Uri(first.Address).Authority, listener.GetProperty("address").GetString());
        Assert.Equal("adopted", listener.GetProperty("fate").GetString());
        Assert.Equal(20, report.Number("probe.requests"));
    }

    [Fact]
    public async Task Get_BeforeAndAfter_TellsHowTheInstanceStands()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start();
        var first = await app.ServingAsync(1);
        var client = await app.ClientAsync();

        var before = await client.GetHandoffAsync();
        await client.HandOffAsync();
        var after = await client.GetHandoffAsync();

        Assert.Equal((first.ProcessId, 1, "serving"), (before.Number("processId"), before.Number("generation"), before.Text("phase")));
        Assert.Equal([new Uri(first.Address).Authority], before["listeners"].EnumerateArray().Select(listener => listener.GetString()!));
        Assert.False(before.Json.TryGetProperty("lastHandoff", out _));
        Assert.Equal((2, "serving"), (after.Number("generation"), after.Text("phase")));
    }

    [Fact]
    public async Task Post_ThreeInARow_GenerationCountsUpAndOnlyTheLastIsLeft()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start();
        var before = await app.ServingAsync(1);
        var client = await app.ClientAsync();

        for (var generation = 2; generation <= 4; generation++)
        {
            var report = await client.HandOffAsync();
            Assert.Equal(before.ProcessId, report.Number("predecessor.processId"));
            before = await app.ServingAsync(generation);
            Assert.Equal(generation.ToString(CultureInfo.InvariantCulture), await client.TextAsync("/"));
            await TestLibc.WaitForExitAsync(report.Number("predecessor.processId")).OrHang();
        }

        Assert.Equal([before.ProcessId], directory.Processes());
    }

    [Fact]
    public async Task Output_AfterPredecessorExited_StillReachesTheFirstPipes()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        var client = await app.ClientAsync();
        await client.HandOffAsync();
        await app.ExitCodeAsync();

        await client.PostTextAsync("/say/spoken");
        await client.PostTextAsync("/complain/complained");

        await app.Output.HearAsync("spoken");
        await app.Error.HearAsync("complained");
    }

    [Fact]
    public async Task Sigusr2_Serving_HandsOff()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();

        TestLibc.Kill(app.ProcessId, TestLibc.SigUsr2);

        var second = await app.ServingAsync(2);
        Assert.Equal(0, await app.ExitCodeAsync());
        TestLibc.Kill(second.ProcessId, TestLibc.SigUsr2);
        await app.ServingAsync(3);
    }

    [Fact]
    public async Task HandOffAsync_FromCode_HandsOff()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        var client = await app.ClientAsync();

        var outcome = await client.PostTextAsync("/hand-off-from-code");

        Assert.Equal("Completed", outcome);
        await app.ServingAsync(2);
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task Post_WhileAnotherRuns_ConflictWithWhoAndSince()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        var client = await app.ClientAsync();
        directory.SetFault("hang-in-start");
        var running = client.HandOffAsync();
        var successor = (await app.Output.HearAsync("hangs ")).Split(' ')[1];

        var refused = await client.PostHandoffAsync();
        var status = await client.GetHandoffAsync();

        Assert.Equal(HttpStatusCode.Conflict, refused.Status);
        Assert.Equal("application/problem+json", refused.ContentType);
        Assert.Contains($"process {successor}", refused.Text("detail"), StringComparison.Ordinal);
        Assert.Matches(@"since \d\d:\d\d:\d\dZ", refused.Text("detail"));
        Assert.Equal(("offering", "running"), (status.Text("phase"), status.Text("lastHandoff.outcome")));
        directory.SetFault("");
        await running;
        await app.ServingAsync(2);
    }

    [Fact]
    public async Task Sigusr2_WhileAPostRuns_RefusedWithWhoAndSince()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        directory.SetFault("hang-in-start");
        var running = (await app.ClientAsync()).HandOffAsync();
        var successor = (await app.Output.HearAsync("hangs ")).Split(' ')[1];

        TestLibc.Kill(app.ProcessId, TestLibc.SigUsr2);

        Assert.Matches($@"SIGUSR2 started no handoff: A handoff to process {successor} is under way: Offering since \d\d:\d\d:\d\dZ", await app.Output.HearAsync("SIGUSR2 started no"));
        directory.SetFault("");
        await running;
    }

    [Fact]
    public async Task IndependentSuccessor_WhileAPostRuns_RefusedWithWhoAndSince()
    {
        await using var directory = new TestDirectory();
        string[] arguments = ["--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", $"--SocketHandoff:ControlSocketPath={directory.ControlPath}"];
        var app = await directory.ServeAsync(arguments);
        directory.SetFault("hang-in-start");
        var running = (await app.ClientAsync()).HandOffAsync();
        var successor = (await app.Output.HearAsync("hangs ")).Split(' ')[1];

        var independent = directory.Start(arguments);

        Assert.NotEqual(0, await independent.ExitCodeAsync());
        await independent.Error.EndAsync();
        Assert.Matches($@"A handoff to process {successor} is under way: Offering since \d\d:\d\d:\d\dZ", independent.Error.Text + independent.Output.Text);
        directory.SetFault("");
        await running;
    }

    [Fact]
    public async Task PostsAndSigusr2_AllAtOnce_OneWins()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        var address = (await app.ClientAsync()).BaseAddress!;
        var clients = Enumerable.Range(0, 6).Select(_ => app.NewClient(address.ToString())).ToArray();
        await Task.WhenAll(clients.Select(client => client.TextAsync("/"))); // connected, all to the first

        var asking = clients.Select(client => client.PostHandoffAsync()).ToArray();
        TestLibc.Kill(app.ProcessId, TestLibc.SigUsr2);

        var answers = await Task.WhenAll(asking);
        var won = answers.Count(answer => answer.Status == HttpStatusCode.OK);
        Assert.InRange(won, 0, 1); // none: the signal was first
        Assert.Equal(answers.Length - won, answers.Count(answer => answer.Status == HttpStatusCode.Conflict));
        var second = await app.ServingAsync(2);
        Assert.Equal(0, await app.ExitCodeAsync());
        Assert.Equal([second.ProcessId], directory.Processes());
    }

    [Fact]
    public async Task Post_ToDrainingPredecessor_ConflictAndConnectionClose()
    {
        await using var directory = new TestDirectory();
        var (app, client) = await directory.ServeTlsAsync();
        using var disposing = client;
        await using var kept = await RawHttp.ConnectTlsAsync(client.BaseAddress!); // which cannot move
        Assert.Equal("1", (await kept.GetAsync("/")).Body);
        await client.HandOffAsync();
        await app.HearAsync("retiring", 1);

        var answer = await kept.SendAsync("POST /admin/handoff HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");

        Assert.Equal(409, answer.Status);
        Assert.True(answer.IsLast);
        Assert.Contains("ask again on a new connection", answer.Body, StringComparison.Ordinal);
        await kept.EndAsync();
        Assert.Equal(0, await app.ExitCodeAsync());
    }
}
