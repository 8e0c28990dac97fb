using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>More than two instances at once: earlier ones that still drain are seen, bounded, and give what they have left to the one that serves.</summary>
public sealed class GenerationsTests
{
    [Fact]
    public async Task TwoDrain_StatusShowsBothUntilTheyHaveGone()
    {
        await using var directory = new TestDirectory();
        var (app, address) = await ServeAsync(directory);
        var first = await BeginAsync(address);
        await HandOffAsync(app, address, 2);
        var second = await BeginAsync(address);
        await HandOffAsync(app, address, 3);

        var both = await StatusAsync(address, status => Draining(status) is [(2, 1), (1, 1)]);
        Assert.Equal(app.ProcessId, both["draining"][1].GetProperty("processId").GetInt32());
        Assert.True(both["draining"][1].GetProperty("since").GetDateTimeOffset() > DateTimeOffset.UnixEpoch);

        await second.DisposeAsync();
        await StatusAsync(address, status => Draining(status) is [(2, 0), (1, 1)]); // it stays for what the first still gives away
        await first.DisposeAsync();
        var none = await StatusAsync(address, status => Draining(status) is []);
        Assert.Equal((2, 2, 0), (none.Number("lastRetired.generation"), none.Number("lastRetired.connectionsDrained"), none.Number("lastRetired.connectionsAborted")));
        Assert.Equal(0, await app.ExitCodeAsync()); // the second connection was that of the POST
    }

    [Fact]
    public async Task BusyThroughTwoHandoffs_ConnectionGoesOnWithTheThird()
    {
        await using var directory = new TestDirectory();
        var (app, address) = await ServeAsync(directory);
        await using var busy = await RawHttp.ConnectAsync(address);
        await busy.WriteAsync("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab");
        await HandOffAsync(app, address, 2);
        await HandOffAsync(app, address, 3);

        await busy.WriteAsync("cd");

        Assert.Equal(new RawAnswer(200, IsLast: false, "1:4"), await busy.ReadAnswerAsync());
        await busy.GetFromAsync(3);
        var retired = await StatusAsync(address, status => Draining(status) is [] && status.Number("lastRetired.generation") == 2);
        Assert.Equal(1, retired.Number("lastRetired.connectionsMigrated"));
    }

    [Fact]
    public async Task AsManyDrainAsMayDrain_RefusedWithWhoTheyAre_UntilForcedOrGone()
    {
        await using var directory = new TestDirectory();
        var (app, address) = await ServeAsync(directory, "--SocketHandoff:MaxDraining=1", $"--SocketHandoff:ControlSocketPath={directory.ControlPath}");
        await using var first = await BeginAsync(address);
        await HandOffAsync(app, address, 2);
        await StatusAsync(address, status => Draining(status) is [(1, 1)]);

        var refused = await PostAsync(address);
        var independent = directory.Start("--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", $"--SocketHandoff:ControlSocketPath={directory.ControlPath}");

        Assert.Equal((HttpStatusCode.Conflict, "urn:kestrel-handoff:too-many-draining"), (refused.Status, refused.Text("type")));
        var who = $@"1 earlier instances still drain: process {app.ProcessId} \(generation 1\) since \d\d:\d\d:\d\dZ with 1 connections";
        Assert.Matches(who, refused.Text("detail"));
        Assert.NotEqual(0, await independent.ExitCodeAsync());
        await independent.Error.EndAsync();
        Assert.Matches(who, independent.Error.Text + independent.Output.Text);

        Assert.Equal(HttpStatusCode.OK, (await PostAsync(address, "?force=true")).Status);
        await app.ServingAsync(3);
        TestLibc.Kill((await app.HearAsync("retiring", 2)).ProcessId, TestLibc.SigUsr2); // as many drain there, too, but what keeps it from handing over is that it has
        Assert.Matches(@"Process \d+ \(generation 2\) handed over to process \d+", await app.Output.HearAsync("SIGUSR2 started no handoff"));
        await first.DisposeAsync();
        await StatusAsync(address, status => Draining(status) is []);
        await HandOffAsync(app, address, 4);
    }

    private static async Task<(AppProcess App, Uri Address)> ServeAsync(TestDirectory directory, params string[] more)
    {
        var app = await directory.ServeAsync(["--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", .. more]);
        return (app, new Uri((await app.Output.HeardAsync("serving ")).Split(' ')[3]));
    }

    /// <summary>A request that ends with its connection.</summary>
    private static async Task<RawHttp> BeginAsync(Uri address)
    {
        var connection = await RawHttp.ConnectAsync(address);
        await connection.WriteAsync("GET /forever HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await connection.ReadLineAsync();
        return connection;
    }

    private static async Task HandOffAsync(AppProcess app, Uri address, int generation)
    {
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(address)).Status);
        await app.ServingAsync(generation);
    }

    /// <summary>On a connection of its own: one that is kept would move along, and be counted.</summary>
    private static async Task<Answer> PostAsync(Uri address, string query = "")
    {
        using var client = Single(address);
        return await client.PostHandoffAsync(query);
    }

    private static async Task<Answer> StatusAsync(Uri address, Func<Answer, bool> isReached)
    {
        Answer? status = null;
        await Poll.UntilAsync(async () =>
        {
            using var client = Single(address);
            status = await client.GetHandoffAsync();
            return isReached(status);
        }).OrHang();
        return status!;
    }

    private static HttpClient Single(Uri address) => new() { BaseAddress = address, DefaultRequestHeaders = { ConnectionClose = true } };

    private static List<(int Generation, int Connections)> Draining(Answer status) =>
        [.. status["draining"].EnumerateArray().Select(instance => (instance.GetProperty("generation").GetInt32(), instance.GetProperty("connections").GetInt32()))];
}
