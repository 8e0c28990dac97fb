using System.Net.WebSockets;
using System.Text;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What cannot move is served to its end by the predecessor; no client meets a closing socket.</summary>
public sealed class DrainTests
{
    private const string Main = "--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0";

    [Fact]
    public async Task KeepAlive_UnderTls_NextRequestIsAnsweredWithCloseThenFin()
    {
        await using var directory = new TestDirectory();
        var (app, client) = await directory.ServeTlsAsync();
        using var disposing = client;
        await using var idle = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        Assert.Equal("1", (await idle.GetAsync("/")).Body);
        await using var busy = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        await busy.WriteAsync("GET /until-retiring HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await app.Output.HearAsync("waits");

        await client.HandOffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: true, "1"), await busy.ReadAnswerAsync());
        await busy.EndAsync();
        Assert.Equal(new RawAnswer(200, IsLast: true, "1"), await idle.GetAsync("/"));
        await idle.EndAsync();
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task KeepAlive_UnderTlsRequestFails_TheAnswerSaysCloseToo()
    {
        await using var directory = new TestDirectory();
        var (app, client) = await directory.ServeTlsAsync();
        using var disposing = client;
        await using var first = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        await using var second = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        Assert.Equal(new RawAnswer(500, IsLast: false, ""), await first.GetAsync("/fails"));
        Assert.Equal(new RawAnswer(500, IsLast: false, ""), await second.GetAsync("/fails?caught=true"));
        await using var busy = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        await busy.WriteAsync("GET /fails?late=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await app.Output.HearAsync("waits");

        await client.HandOffAsync();
        await app.HearAsync("retiring", 1);

        Assert.Equal(new RawAnswer(500, IsLast: true, ""), await first.GetAsync("/fails"));
        Assert.Equal(new RawAnswer(500, IsLast: true, ""), await second.GetAsync("/fails?caught=true"));
        Assert.Equal(new RawAnswer(500, IsLast: true, ""), await busy.ReadAnswerAsync());
        await first.EndAsync();
        await second.EndAsync();
        await busy.EndAsync();
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task Idle_UnderTlsOrSilentFromTheStart_IsClosedBeforeTheDeadline()
    {
        await using var directory = new TestDirectory();
        var (app, client) = await directory.ServeTlsAsync("--SocketHandoff:DrainTimeout=00:00:10");
        using var disposing = client;
        await using var idle = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        await using var silent = await RawHttp.ConnectTlsAsync(client.BaseAddress!);
        Assert.Equal("1", (await idle.GetAsync("/")).Body);

        await client.HandOffAsync();

        await Task.WhenAll(EndBothSidesAsync(idle), EndBothSidesAsync(silent));
        Assert.Equal(0, await app.ExitCodeAsync());
        await app.Output.HearAsync("0 are still open and closed now");
    }

    [Fact]
    public async Task Deadline_ConnectionNeverEnds_PredecessorExitsWith0()
    {
        await using var directory = new TestDirectory();
        var app = await OutlastDrainAsync(directory, "00:00:01");
        await app.Output.HearAsync("1 are still open and closed now");
    }

    [Fact]
    public async Task Deadline_Zero_PredecessorExitsWith0()
    {
        await using var directory = new TestDirectory();
        await OutlastDrainAsync(directory, "00:00:00");
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public async Task Http2_ContinuousRequests_NoneFails(string scheme)
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync(
            $"--Kestrel:Endpoints:Main:Url={scheme}://127.0.0.1:0",
            "--Kestrel:EndpointDefaults:Protocols=Http2",
            $"--Kestrel:Certificates:Default:Path={TestCertificate.Create(directory, "localhost")}");
        using var client = TestClients.Http2((await app.Output.HeardAsync("serving ")).Split(' ')[3]);
        await using var loop = ClientLoop.Start(() => client.TextAsync("/"), clients: 4);
        await loop.AnsweredAsync(10);

        for (var generation = 2; generation <= 3; generation++)
        {
            await client.HandOffAsync();
            await app.ServingAsync(generation);
            await loop.AnsweredAsync(10);
        }

        await loop.StopAsync();
        Assert.Equal("3", await client.TextAsync("/"));
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task OpenStreams_ThatDoNotMove_AreEndedOrServedByThePredecessorWhileNewConnectionsAreServed()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync(Main, "--tcp=127.0.0.1:0");
        var addresses = (await app.Output.HeardAsync("serving ")).Split(' ')[3..];
        var (web, tcp) = (new Uri(addresses[^1]), new Uri(addresses[0]));
        if (await IsHttpAsync(tcp))
        {
            (web, tcp) = (tcp, web);
        }

        using var client = app.NewClient(web.ToString());
        using var socket = await OpenWebSocketAsync(web);
        await using var line = await RawHttp.ConnectAsync(tcp);
        Assert.Equal(("1:a", "1:a"), (await EchoAsync(socket, "a"), await EchoAsync(line, "a")));

        await client.HandOffAsync();

        await app.HearAsync("retiring", 1);
        using var newSocket = await OpenWebSocketAsync(web);
        await using var newLine = await RawHttp.ConnectAsync(tcp);
        Assert.Equal(("2:b", "2:b"), (await EchoAsync(newSocket, "b"), await EchoAsync(newLine, "b")));
        Assert.Equal("1:c", await EchoAsync(line, "c"));
        Assert.Equal("2", await client.TextAsync("/"));
        Assert.Equal(WebSocketMessageType.Close, (await socket.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken).OrHang()).MessageType);
        Assert.Equal(1012, (int)socket.CloseStatus!); // "service restart"
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, TestContext.Current.CancellationToken).OrHang();
        await line.DisposeAsync();
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    private static async Task EndBothSidesAsync(RawHttp connection)
    {
        await connection.EndAsync();
        await connection.DisposeAsync();
    }

    private static async Task<bool> IsHttpAsync(Uri address)
    {
        await using var connection = await RawHttp.ConnectAsync(address);
        await connection.WriteAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return (await connection.ReadLineAsync()).StartsWith("HTTP/", StringComparison.Ordinal);
    }

    private static async Task<ClientWebSocket> OpenWebSocketAsync(Uri address)
    {
        var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri($"ws://{address.Authority}/ws"), TestContext.Current.CancellationToken).OrHang();
        return socket;
    }

    private static async Task<string> EchoAsync(RawHttp line, string text)
    {
        await line.WriteAsync($"{text}\n");
        return await line.ReadLineAsync();
    }

    private static async Task<string> EchoAsync(ClientWebSocket socket, string text)
    {
        var buffer = new byte[100];
        await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, TestContext.Current.CancellationToken).OrHang();
        var received = await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken).OrHang();
        return Encoding.UTF8.GetString(buffer, 0, received.Count);
    }

    /// <summary>A request that never ends, a handoff, and the end of the drain.</summary>
    private static async Task<AppProcess> OutlastDrainAsync(TestDirectory directory, string drainTimeout)
    {
        var app = await directory.ServeAsync(Main, $"--SocketHandoff:DrainTimeout={drainTimeout}");
        var client = await app.ClientAsync();
        await using var endless = await RawHttp.ConnectAsync(client.BaseAddress!);
        await endless.WriteAsync("GET /forever HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.Equal("HTTP/1.1 200 OK", await endless.ReadLineAsync());

        await client.HandOffAsync();

        Assert.Equal(0, await app.ExitCodeAsync());
        Assert.Equal("2", await client.TextAsync("/"));
        return app;
    }
}
