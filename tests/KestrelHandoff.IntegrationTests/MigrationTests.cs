using System.Globalization;
using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>A kept-alive connection goes on with the next generation: no <c>Connection: close</c>, no FIN.</summary>
public sealed class MigrationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Idle_ThreeHandoffs_EachPredecessorExitsAndTheNextAnswers(bool onUnixPath)
    {
        await using var app = await MigratingApp.ServeAsync(onUnixPath);
        await using var idle = await app.ConnectAsync();
        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await idle.GetAsync("/"));

        for (var generation = 2; generation <= 4; generation++)
        {
            await app.HandOffAsync();
            await app.PredecessorExitsAsync(); // although the connection is open

            Assert.Equal(new RawAnswer(200, IsLast: false, $"{generation}"), await idle.GetAsync("/"));
        }
    }

    [Fact]
    public async Task Idle_ThreeHandoffsWithoutARequest_EachPredecessorExitsAndTheLastAnswers()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var silent = await app.ConnectAsync();
        await using var idle = await app.ConnectAsync();
        await idle.GetAsync("/");

        for (var handoff = 1; handoff <= 3; handoff++)
        {
            await app.HandOffAsync();
            await app.PredecessorExitsAsync();
        }

        Assert.Equal(new RawAnswer(200, IsLast: false, "4"), await idle.GetAsync("/"));
        Assert.Equal(new RawAnswer(200, IsLast: false, "4"), await silent.GetAsync("/"));
    }

    [Fact]
    public async Task BehindAPreamble_Stays_AndIsToldSoWithItsNextAnswer()
    {
        await using var directory = new TestDirectory();
        var endPoint = new IPEndPoint(IPAddress.Loopback, FreePort.Next());
        var app = directory.Start("--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", $"--preamble={endPoint}");
        var client = app.NewClient((await app.ServingAsync(1)).Addresses.First(address => !address.EndsWith($":{endPoint.Port}", StringComparison.Ordinal)));
        await using var proxied = await RawHttp.ConnectAsync(endPoint);
        await proxied.WriteAsync("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
        Assert.Equal("1", (await proxied.GetAsync("/")).Body);

        await client.HandOffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: true, "1"), await proxied.GetAsync("/")); // the successor would wait for a preamble
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Idle_AsksAsSoonAsTheHandoffIsDone_SameConnectionMoves(bool onUnixPath)
    {
        await using var app = await MigratingApp.ServeAsync(onUnixPath);
        await using var idle = await app.ConnectAsync();
        await idle.GetAsync("/");

        await app.HandOffAsync();

        await app.AssertMovesAsync(idle).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Idle_NeverAsked_MovesAtOnce(bool onUnixPath)
    {
        await using var app = await MigratingApp.ServeAsync(onUnixPath);
        await using var silent = await app.ConnectAsync();

        await app.HandOffAsync();
        await app.PredecessorExitsAsync(); // although nothing was asked

        Assert.Equal(new RawAnswer(200, IsLast: false, "2"), await silent.GetAsync("/"));
    }

    [Fact]
    public async Task Idle_NeverAsked_FirstRequestIsTheSuccessors()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var silent = await app.ConnectAsync();
        await using var known = await app.ConnectAsync();
        await known.GetAsync("/"); // accepted after the silent one

        await app.HandOffAsync();

        await app.AssertMovesAsync(known).OrHang();
        await app.AssertMovesAsync(silent).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task Idle_AHundredConnections_AllMove()
    {
        await using var app = await MigratingApp.ServeAsync();
        var idle = new List<RawHttp>();
        try
        {
            for (var i = 0; i < 100; i++)
            {
                idle.Add(await app.ConnectAsync());
                await idle[i].GetAsync("/");
            }

            await app.HandOffAsync();

            await Task.WhenAll(idle.Select(app.AssertMovesAsync)).OrHang();
            await app.PredecessorExitsAsync();
        }
        finally
        {
            idle.ForEach(connection => connection.Reset());
        }
    }

    [Fact]
    public async Task HandoffFails_IdleConnection_StaysWithTheOneThatServes()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var idle = await app.ConnectAsync();
        await idle.GetAsync("/");
        app.Directory.SetFault("throw");
        await app.Client.PostHandoffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await idle.GetAsync("/"));

        app.Directory.SetFault("");
        await app.HandOffAsync();
        await app.AssertMovesAsync(idle).OrHang();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Busy_InFlightDuringTheHandoff_PredecessorAnswersAndTheNextIsTheSuccessors(bool onUnixPath)
    {
        await using var app = await MigratingApp.ServeAsync(onUnixPath);
        await using var busy = await app.ConnectAsync();
        await busy.WriteAsync("GET /until-retiring HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await app.Process.Output.HearAsync("waits");

        await app.HandOffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await busy.ReadAnswerAsync());
        Assert.Equal(new RawAnswer(200, IsLast: false, "2"), await busy.GetAsync("/"));
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task Busy_ThroughThreeHandoffs_EveryRequestIsAnsweredOnOneConnection()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        var last = 1;
        await using var loop = ClientLoop.Start(AskAsync, clients: 1);

        for (var generation = 2; generation <= 4; generation++)
        {
            await app.HandOffAsync();
            while (Volatile.Read(ref last) < generation)
            {
                await loop.AnsweredAsync(1);
            }
        }

        await loop.StopAsync();
        await app.PredecessorExitsAsync();

        async Task AskAsync()
        {
            var answer = await connection.GetAsync("/");
            var generation = int.Parse(answer.Body, CultureInfo.InvariantCulture);
            Assert.Equal(new RawAnswer(200, IsLast: false, answer.Body), answer);
            Assert.InRange(generation, last, 4);
            Volatile.Write(ref last, generation);
        }
    }

    [Fact]
    public async Task Busy_ClientWantsTheConnectionClosed_PredecessorClosesIt()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var busy = await app.ConnectAsync();
        await busy.WriteAsync("GET /until-retiring HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        await app.Process.Output.HearAsync("waits");

        await app.HandOffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: true, "1"), await busy.ReadAnswerAsync());
        await busy.EndAsync();
        await app.PredecessorExitsAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClientCloses_WhileTheSuccessorStarts_PredecessorExits(bool byReset)
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var leaving = await app.ConnectAsync();
        await using var staying = await app.ConnectAsync();
        await leaving.GetAsync("/");
        await staying.GetAsync("/");
        app.Directory.SetFault("hang-in-start");
        var handoff = app.HandOffAsync();
        await app.Process.Output.HearAsync("hangs ");

        await CloseAsync(leaving, byReset);
        app.Directory.SetFault("");
        await handoff;

        await app.AssertMovesAsync(staying).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClientCloses_AsSoonAsTheHandoffIsDone_PredecessorExitsAndSuccessorServes(bool byReset)
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var leaving = await app.ConnectAsync();
        await leaving.GetAsync("/");
        await app.HandOffAsync();

        await CloseAsync(leaving, byReset);

        await app.PredecessorExitsAsync();
        Assert.Equal("2", await app.Client.TextAsync("/"));
    }

    // Kestrel does not answer a client that has sent FIN, with a handoff or without: what matters is that nothing waits for it.
    [Fact]
    public async Task ClientClosesItsSide_RequestInFlight_ConnectionEndsAndPredecessorExits()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var leaving = await app.ConnectAsync();
        await leaving.WriteAsync("GET /until-retiring HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await app.Process.Output.HearAsync("waits");

        leaving.CloseOwnSide();
        await app.HandOffAsync();

        await leaving.EndAsync();
        await app.PredecessorExitsAsync();
    }

    private static async Task CloseAsync(RawHttp connection, bool byReset)
    {
        if (byReset)
        {
            connection.Reset();
        }
        else
        {
            await connection.DisposeAsync();
        }
    }
}
