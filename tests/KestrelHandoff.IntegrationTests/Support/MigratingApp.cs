using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>A test app whose open connections are to move with the handoff.</summary>
internal sealed class MigratingApp : IAsyncDisposable
{
    // Longer than any wait of a test: a predecessor that exits has given its connections away, not given them up.
    private const string NoDeadline = "--SocketHandoff:DrainTimeout=00:10:00";

    private readonly EndPoint _endPoint;
    private int _generation = 1;
    private int _predecessor;

    private MigratingApp(TestDirectory directory, AppProcess process, EndPoint endPoint)
    {
        (Directory, Process, _endPoint) = (directory, process, endPoint);
        Client = TestClients.To(endPoint, "http://localhost");
    }

    public TestDirectory Directory { get; }

    public AppProcess Process { get; }

    public HttpClient Client { get; }

    /// <summary>Host and port.</summary>
    public string Authority => _endPoint.ToString()!;

    /// <param name="onUnixPath">HTTP on a Unix path.</param>
    /// <param name="raw">Where the raw TCP protocol is to be spoken.</param>
    public static async Task<MigratingApp> ServeAsync(bool onUnixPath = false, IPEndPoint? raw = null)
    {
        var directory = new TestDirectory();
        try
        {
            var url = onUnixPath ? $"http://unix:{directory.File("web")}" : "http://127.0.0.1:0";
            var process = directory.Start([$"--Kestrel:Endpoints:Main:Url={url}", NoDeadline, .. raw is null ? [] : new[] { $"--moving-tcp={raw}" }]);
            var serving = await process.ServingAsync(1);
            return new MigratingApp(directory, process, onUnixPath ? new UnixDomainSocketEndPoint(directory.File("web")) : serving.EndPoints.First(endPoint => !endPoint.Equals(raw)));
        }
        catch
        {
            await directory.DisposeAsync();
            throw;
        }
    }

    public Task<RawHttp> ConnectAsync() => RawHttp.ConnectAsync(_endPoint);

    /// <summary>Hands off to the next generation and waits until the predecessor retires.</summary>
    public async Task HandOffAsync()
    {
        _predecessor = (await Client.HandOffAsync()).Number("predecessor.processId");
        await Process.HearAsync("retiring", _generation++);
    }

    /// <summary>Waits until the last predecessor is gone, with its connections counted and nothing to complain of; the first says how it ended, too.</summary>
    public async Task PredecessorExitsAsync()
    {
        await Process.Output.HeardAsync($"active {_generation - 1} 0");
        Assert.DoesNotContain("fail: ", Process.Output.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("crit: ", Process.Output.Text, StringComparison.Ordinal);
        await TestLibc.WaitForExitAsync(_predecessor).OrHang();
        Assert.Equal(0, await Process.ExitCodeAsync());
    }

    /// <summary>Asks on a connection that must stay open, until the generation that serves now answers.</summary>
    /// <remarks>While the handoff goes on an earlier one may answer as well, but none after a later one.</remarks>
    public async Task AssertMovesAsync(RawHttp connection)
    {
        var last = 1;
        while (last < _generation)
        {
            var answer = await connection.GetAsync("/");
            var generation = int.Parse(answer.Body, CultureInfo.InvariantCulture);
            Assert.Equal(new RawAnswer(200, IsLast: false, answer.Body), answer);
            Assert.InRange(generation, last, _generation);
            last = generation;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Directory.DisposeAsync();
    }
}
