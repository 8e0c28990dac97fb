using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>After the commit the successor serves, and the predecessor can still take everything back.</summary>
public sealed class ProbationTests
{
    [Fact]
    public async Task Passed_ReportTellsOfItAndTheSuccessorServes()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:00:00.5");
        var client = await app.ClientAsync();

        var answer = await client.HandOffAsync();

        Assert.Contains("probation", answer["phases"].EnumerateArray().Select(phase => phase.GetProperty("phase").GetString()));
        await app.ServingAsync(2);
        Assert.Equal(0, await app.ExitCodeAsync());
        Assert.Equal("2", await client.TextAsync("/"));
    }

    [Fact]
    public async Task NewConnectionsGoToTheSuccessor_OldOnesStay_BothWereServedAndMoveWhenItIsOver()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:00:15");
        var client = await app.ClientAsync();
        await using var old = await RawHttp.ConnectAsync(client.BaseAddress!);
        Assert.Equal("1", (await old.GetAsync("/")).Body);
        var posting = client.HandOffAsync();
        await app.ServingAsync(2);

        await using var fresh = await ConnectToSuccessorAsync(client.BaseAddress!);
        Assert.Equal("1", (await old.GetAsync("/")).Body);
        await posting;
        await app.HearAsync("retiring", 1);
        Assert.Equal(("2", "2"), ((await fresh.GetAsync("/")).Body, (await old.GetFromAsync(2)).Body));
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task PoolFloor_OfBothIsRaisedForTheHandoff()
    {
        const string Path = "/pool-floor";
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:10:00");
        var client = await app.ClientAsync();
        await using var old = await RawHttp.ConnectAsync(client.BaseAddress!);
        Assert.Equal($"{Environment.ProcessorCount}", (await old.GetAsync(Path)).Body); // .NET's own
        var posting = client.PostHandoffAsync();
        await app.ServingAsync(2);
        await using var fresh = await ConnectToSuccessorAsync(client.BaseAddress!);

        var raised = $"{Math.Max(8, Environment.ProcessorCount)}";
        Assert.Equal((raised, raised), ((await old.GetAsync(Path)).Body, (await fresh.GetAsync(Path)).Body));
        TestLibc.Kill(app.ProcessId, TestLibc.SigTerm);
        Assert.Equal("completed", (await posting).Text("outcome"));
    }

    [Fact]
    public async Task SuccessorKilled_PredecessorAcceptsAgainAndNoConnectIsRefused()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:01:00");
        var client = await app.ClientAsync();
        await using var old = await RawHttp.ConnectAsync(client.BaseAddress!);
        Assert.Equal("1", (await old.GetAsync("/")).Body);
        var posting = client.PostHandoffAsync();
        var successor = await app.ServingAsync(2);
        await using var connects = ClientLoop.Start(async () => await (await RawHttp.ConnectAsync(client.BaseAddress!)).DisposeAsync());
        await connects.AnsweredAsync(5);

        TestLibc.Kill(successor.ProcessId, TestLibc.SigKill);

        var answer = await posting;
        await connects.AnsweredAsync(5);
        await connects.StopAsync();
        Assert.Equal((HttpStatusCode.BadGateway, "rolledBack", "successorExited"), (answer.Status, answer.Text("report.outcome"), answer.Text("report.failure")));
        Assert.Equal(("1", "1"), (await RawHttp.GetOnceAsync(client.BaseAddress!), (await old.GetAsync("/")).Body));
        Assert.Equal([app.ProcessId], directory.Processes());
        Assert.Equal("serving", (await client.GetHandoffAsync()).Text("phase"));
    }

    [Fact]
    public async Task SuccessorGetsSick_WhatItAcceptedComesBack_NoClientNotices()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:01:00");
        var client = await app.ClientAsync();
        await using var others = ClientLoop.Start(async () => Assert.Contains(await RawHttp.GetOnceAsync(client.BaseAddress!), new[] { "1", "2" }));
        var posting = client.PostHandoffAsync();
        await app.ServingAsync(2);
        await using var idle = await ConnectToSuccessorAsync(client.BaseAddress!);
        await using var busy = await ConnectToSuccessorAsync(client.BaseAddress!);
        await busy.WriteAsync("GET /until-retiring HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await app.Output.HearAsync("waits");

        directory.SetFault("sick");

        var answer = await posting;
        Assert.Equal((HttpStatusCode.BadGateway, "rolledBack", "unhealthy"), (answer.Status, answer.Text("report.outcome"), answer.Text("report.failure")));
        Assert.Contains("its health checks fail: fault", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal(new RawAnswer(200, IsLast: false, "2"), await busy.ReadAnswerAsync());
        Assert.Equal(("1", "1"), ((await idle.GetAsync("/")).Body, (await busy.GetFromAsync(1)).Body));
        await app.HearAsync("stopped", 2);
        await others.AnsweredAsync(2);
        await others.StopAsync();
        Assert.Equal("1", await RawHttp.GetOnceAsync(client.BaseAddress!));
        await AssertNextHandoffWorksAsync(directory, app, client);
    }

    [Fact]
    public async Task SuccessorHangs_IsKilledAndThePredecessorServes()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:01:00", "--SocketHandoff:ExchangeTimeout=00:00:08");
        var client = await app.ClientAsync();
        var posting = client.PostHandoffAsync();
        var successor = await app.ServingAsync(2);

        await TestLibc.SuspendAsync(successor.ProcessId);
        var waiting = RawHttp.GetOnceAsync(client.BaseAddress!); // in the queue that both share

        var answer = await posting;
        Assert.Equal((HttpStatusCode.GatewayTimeout, "rolledBack", "timeout"), (answer.Status, answer.Text("report.outcome"), answer.Text("report.failure")));
        Assert.Equal("1", await waiting);
        Assert.Equal([app.ProcessId], directory.Processes());
    }

    [Fact]
    public async Task SuccessorIsToldToStop_GivesBackWhatItAcceptedAndPredecessorServesOn()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:01:00");
        var client = await app.ClientAsync();
        var posting = client.PostHandoffAsync();
        var successor = await app.ServingAsync(2);
        await using var idle = await ConnectToSuccessorAsync(client.BaseAddress!);

        TestLibc.Kill(successor.ProcessId, TestLibc.SigTerm);

        var answer = await posting;
        Assert.Equal(("rolledBack", 1), (answer.Text("report.outcome"), answer.Number("report.connectionsReturned")));
        Assert.Contains("The peer gave up: This instance is being stopped.", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal("1", (await idle.GetAsync("/")).Body);
        await TestLibc.WaitForExitAsync(successor.ProcessId).OrHang();
        Assert.Equal("1", await RawHttp.GetOnceAsync(client.BaseAddress!));
    }

    [Fact]
    public async Task PredecessorKilled_SuccessorGoesOnByItselfAndCanHandOff()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:00:05");
        var client = await app.ClientAsync();
        await using var posting = await RawHttp.ConnectAsync(client.BaseAddress!); // an HttpClient would ask the successor again
        await posting.WriteAsync("POST /admin/handoff HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        var successor = await app.ServingAsync(2);

        TestLibc.Kill(app.ProcessId, TestLibc.SigKill);

        await Assert.ThrowsAnyAsync<IOException>(posting.ReadLineAsync);
        await app.Output.HearAsync("this instance serves on its listeners");
        Assert.Equal("2", await RawHttp.GetOnceAsync(client.BaseAddress!));
        await client.HandOffAsync();
        await app.ServingAsync(3);
        await TestLibc.WaitForExitAsync(successor.ProcessId).OrHang();
    }

    [Fact]
    public async Task PredecessorIsToldToStop_SuccessorHasPassed()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory, "00:10:00");
        var client = await app.ClientAsync();
        var posting = client.PostHandoffAsync();
        await app.ServingAsync(2);

        TestLibc.Kill(app.ProcessId, TestLibc.SigTerm);

        Assert.Equal("completed", (await posting).Text("outcome"));
        Assert.Equal(0, await app.ExitCodeAsync());
        Assert.Equal("2", await RawHttp.GetOnceAsync(client.BaseAddress!));
    }

    [Fact]
    public async Task ThirdInstance_DuringTheProbation_RefusedWithWhoAndSince()
    {
        await using var directory = new TestDirectory();
        string[] arguments = ["--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", $"--SocketHandoff:ControlSocketPath={directory.ControlPath}", "--SocketHandoff:Probation=00:01:00"];
        var blue = directory.Start(arguments);
        await blue.ServingAsync(1);
        var green = directory.Start(arguments);
        await green.ServingAsync(2);

        var red = directory.Start(arguments);

        Assert.NotEqual(0, await red.ExitCodeAsync());
        await red.Error.EndAsync();
        Assert.Matches($@"A handoff to process {green.ProcessId} is under way: Probation since \d\d:\d\d:\d\dZ", red.Error.Text + red.Output.Text);
    }

    private static Task<AppProcess> ServeAsync(TestDirectory directory, string probation, params string[] more) =>
        directory.ServeAsync(["--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", $"--SocketHandoff:Probation={probation}", .. more]);

    /// <summary>Both accept for a moment: tries until the successor has got a connection.</summary>
    private static async Task<RawHttp> ConnectToSuccessorAsync(Uri address)
    {
        while (true)
        {
            var connection = await RawHttp.ConnectAsync(address);
            if ((await connection.GetAsync("/")).Body == "2")
            {
                return connection;
            }

            await connection.DisposeAsync();
        }
    }

    private static async Task AssertNextHandoffWorksAsync(TestDirectory directory, AppProcess app, HttpClient client)
    {
        directory.SetFault("");
        await client.HandOffAsync();
        Assert.Equal("2", await RawHttp.GetOnceAsync(client.BaseAddress!));
        Assert.Equal(0, await app.ExitCodeAsync());
    }
}
