using System.Net;
using System.Net.Sockets;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>The successor's configuration decides what it listens on, not the predecessor's.</summary>
public sealed class ConfiguredEndpointTests
{
    [Fact]
    public async Task Successor_HasAnEndpointMoreAndOneLess_BindsAndCloses()
    {
        await using var directory = new TestDirectory();
        var (kept, removed, added) = (FreePort.Next(), FreePort.Next(), FreePort.Next());
        Configure(directory, kept, removed);
        var app = await StartAsync(directory);
        using var client = TestClients.To(new IPEndPoint(IPAddress.Loopback, kept), "http://localhost");
        Configure(directory, kept, added);

        var report = await client.HandOffAsync();

        await app.ServingAsync(2);
        Assert.Equal(
            [("adopted", $"127.0.0.1:{kept}"), ("closed", $"127.0.0.1:{removed}"), ("new", $"127.0.0.1:{added}")],
            report["listeners"].EnumerateArray().Select(fate => (fate.GetProperty("fate").GetString()!, fate.GetProperty("address").GetString()!)).Order());
        await app.Output.HearAsync($"(127.0.0.1:{removed}): not an endpoint of the instance that serves from now on; closed.");
        Assert.Equal("2", await GetAsync(kept));
        Assert.Equal("2", await GetAsync(added));
        await AssertRefusedAsync(removed);
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task Successor_AddedEndpointIsTaken_PredecessorServesOn()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        await using var directory = new TestDirectory();
        var kept = FreePort.Next();
        Configure(directory, kept);
        var app = await StartAsync(directory);
        using var client = TestClients.To(new IPEndPoint(IPAddress.Loopback, kept), "http://localhost");
        Configure(directory, kept, ((IPEndPoint)other.LocalEndpoint).Port);

        var answer = await client.PostHandoffAsync();

        Assert.Equal(HttpStatusCode.BadGateway, answer.Status);
        Assert.Contains($"Failed to bind to address http://{other.LocalEndpoint}: address already in use.", answer.Text("startupOutput"), StringComparison.Ordinal);
        Assert.Equal("1", await GetAsync(kept));
        Configure(directory, kept);
        await client.HandOffAsync();
        Assert.Equal("2", await GetAsync(kept));
    }

    [Fact]
    public async Task Reload_AfterAHandoff_NewEndpointComesAndRemovedOneGoes()
    {
        await using var directory = new TestDirectory();
        var (kept, removed, added) = (FreePort.Next(), FreePort.Next(), FreePort.Next());
        Configure(directory, kept, removed);
        var app = await StartAsync(directory, reloads: true);
        using var client = TestClients.To(new IPEndPoint(IPAddress.Loopback, kept), "http://localhost");
        await client.HandOffAsync();
        Assert.Equal(0, await app.ExitCodeAsync());

        Configure(directory, kept, added);

        await app.Output.HearAsync($"bound to 127.0.0.1:{added}.");
        Assert.Equal("2", await GetAsync(added));
        Assert.Equal("2", await GetAsync(kept));
        await AssertRefusedAsync(removed); // Kestrel closes those that go before it binds those that come
        var report = await client.HandOffAsync();
        Assert.Equal(
            [$"adopted 127.0.0.1:{kept}", $"adopted 127.0.0.1:{added}"],
            report["listeners"].EnumerateArray().Select(fate => $"{fate.GetProperty("fate")} {fate.GetProperty("address")}"));
        Assert.Equal("3", await GetAsync(added));
    }

    private static async Task<AppProcess> StartAsync(TestDirectory directory, bool reloads = false)
    {
        var app = directory.Start(new AppSettings
        {
            Arguments = ["--Logging:LogLevel:KestrelHandoff=Debug"],
            Environment = new Dictionary<string, string> { ["DOTNET_hostBuilder__reloadConfigOnChange"] = reloads ? "true" : "false" },
        });
        await app.ServingAsync(1);
        return app;
    }

    private static void Configure(TestDirectory directory, params int[] ports)
    {
        var endpoints = ports.Select(port => $$""" "E{{port}}": { "Url": "http://127.0.0.1:{{port}}" } """);
        File.WriteAllText(directory.File("unfinished"), $$"""{ "Kestrel": { "Endpoints": { {{string.Join(',', endpoints)}} } } }""");
        File.Move(directory.File("unfinished"), directory.File("appsettings.json"), overwrite: true);
    }

    private static Task<string> GetAsync(int port) => TestClients.GetOnceAsync(new IPEndPoint(IPAddress.Loopback, port), "http");

    private static async Task AssertRefusedAsync(int port)
    {
        var refusal = await Assert.ThrowsAsync<SocketException>(() => RawHttp.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port)));
        Assert.Equal(SocketError.ConnectionRefused, refusal.SocketErrorCode);
    }
}
