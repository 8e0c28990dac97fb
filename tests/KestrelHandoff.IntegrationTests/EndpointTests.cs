using System.Net;
using System.Net.Sockets;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>Every kind of endpoint changes hands: the same address before, during and after, and nothing refused in between.</summary>
public sealed class EndpointTests
{
    private const string ListenAndExec = """
        import os, socket, sys
        listener = socket.create_server(("127.0.0.1", 0))
        listener.set_inheritable(True)
        os.execv(sys.argv[1], [sys.argv[1], f"--handle={listener.fileno()}"] + sys.argv[2:])
        """;

    [Theory]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("http://[::1]:0")]
    [InlineData("http://127.0.0.1:0;http://127.0.0.1:0;http://[::1]:0")]
    public Task Tcp_ThroughHandoff_SameAddresses(string urls) => SurviveAsync([.. urls.Split(';').Select((url, i) => $"--Kestrel:Endpoints:E{i}:Url={url}")]);

    [Fact]
    public async Task AnyAddress_ThroughHandoff_BothFamilies()
    {
        var port = FreePort.Next();
        await SurviveAsync(
            [$"--Kestrel:Endpoints:Main:Url=http://*:{port}"],
            dials: [new IPEndPoint(IPAddress.Loopback, port), new IPEndPoint(IPAddress.IPv6Loopback, port)]);
    }

    [Fact]
    public async Task Localhost_ThroughHandoff_BothListeners()
    {
        var port = FreePort.Next();
        await SurviveAsync(
            [$"--Kestrel:Endpoints:Main:Url=http://localhost:{port}"],
            dials: [new IPEndPoint(IPAddress.Loopback, port), new IPEndPoint(IPAddress.IPv6Loopback, port)],
            listeners: 2);
    }

    [Fact]
    public async Task UnixPath_ThroughHandoff_FileStaysUntilTheLastEnds()
    {
        await using var directory = new TestDirectory();
        var path = directory.File("app.sock");
        var app = directory.Start($"--Kestrel:Endpoints:Main:Url=http://unix:{path}");

        var last = await SurviveAsync(directory, app, dials: [new UnixDomainSocketEndPoint(path)]);

        Assert.True(File.Exists(path));
        TestLibc.Kill(last.ProcessId, TestLibc.SigTerm);
        await TestLibc.WaitForExitAsync(last.ProcessId).OrHang();
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task AbstractUnix_ThroughHandoff_SameAddress()
    {
        await using var directory = new TestDirectory();
        var name = $"kestrel-handoff/{Path.GetFileName(directory.Path)}";
        await SurviveAsync(directory, directory.Start($"--abstract={name}"), dials: [new UnixDomainSocketEndPoint($"\0{name}")]);
    }

    [Fact]
    public async Task ListenHandle_ThroughHandoff_SameAddress()
    {
        Assert.SkipUnless(Tools.Has("python3"), "python3 is not installed");
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings
        {
            Program = ["python3", "-c", ListenAndExec, TestApp.Program],
            Arguments = ["--some=thing"],
        });
        await SurviveAsync(directory, app);
    }

    [Theory]
    [InlineData("Http1")]
    [InlineData("Http1AndHttp2")]
    public async Task Https_ThroughHandoff_SniStillDecides(string protocols)
    {
        await using var directory = new TestDirectory();
        var app = directory.Start(
            "--Kestrel:Endpoints:Main:Url=https://127.0.0.1:0",
            $"--Kestrel:Endpoints:Main:Protocols={protocols}",
            $"--Kestrel:Endpoints:Main:Sni:a.test:Certificate:Path={TestCertificate.Create(directory, "a.test")}",
            $"--Kestrel:Endpoints:Main:Sni:*:Certificate:Path={TestCertificate.Create(directory, "other.test")}");
        var first = await app.ServingAsync(1);
        Assert.Equal("CN=a.test", await TestClients.CertificateOfAsync(first.EndPoints[0], "a.test"));

        await SurviveAsync(directory, app, first);

        Assert.Equal("CN=a.test", await TestClients.CertificateOfAsync(first.EndPoints[0], "a.test"));
        Assert.Equal("CN=other.test", await TestClients.CertificateOfAsync(first.EndPoints[0], "b.test"));
    }

    [Fact]
    public async Task Bind_AddressInUse_FailsAsStockKestrelDoes()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        await using var directory = new TestDirectory();

        var app = directory.Start($"--Kestrel:Endpoints:Main:Url=http://{other.LocalEndpoint}");

        Assert.NotEqual(0, await app.ExitCodeAsync());
        await app.Error.EndAsync();
        Assert.Contains($"System.IO.IOException: Failed to bind to address http://{other.LocalEndpoint}: address already in use.", app.Error.Text, StringComparison.Ordinal);
        Assert.Contains("Microsoft.AspNetCore.Connections.AddressInUseException", app.Error.Text, StringComparison.Ordinal);
    }

    private static async Task SurviveAsync(string[] arguments, IReadOnlyList<EndPoint>? dials = null, int? listeners = null)
    {
        await using var directory = new TestDirectory();
        await SurviveAsync(directory, directory.Start(arguments), dials: dials, listeners: listeners);
    }

    /// <summary>Hands off while clients of every endpoint connect anew for each request.</summary>
    private static async Task<Instance> SurviveAsync(
        TestDirectory directory, AppProcess app, Instance? first = null, IReadOnlyList<EndPoint>? dials = null, int? listeners = null)
    {
        first ??= await app.ServingAsync(1);
        dials ??= first.EndPoints;
        await using var loop = ClientLoop.Start(() => Task.WhenAll(dials.Select(dial => TestClients.GetOnceAsync(dial, first.Scheme))), clients: 1);
        await loop.AnsweredAsync(1);
        using var client = TestClients.To(dials[0], $"{first.Scheme}://localhost");
        var report = await client.HandOffAsync();
        var adopted = report["listeners"].EnumerateArray().Count(listener => listener.GetProperty("fate").GetString() == "adopted");
        Assert.Equal(listeners ?? first.Addresses.Count, adopted);
        var last = await app.ServingAsync(2);
        Assert.Equal(first.Addresses, last.Addresses);
        await loop.AnsweredAsync(2);
        Assert.Equal(0, await app.ExitCodeAsync());
        await loop.AnsweredAsync(2);
        await loop.StopAsync();
        Assert.Equal([last.ProcessId], directory.Processes());
        return last;
    }
}
