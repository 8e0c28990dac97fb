using System.Diagnostics;
using System.Globalization;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>The measured app as a process of its own.</summary>
internal sealed class ServerProcess : IDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly HttpClient _client = new();

    private ServerProcess(Process process) => _process = process;

    public Uri Http { get; private set; } = null!;

    public Uri Https { get; private set; } = null!;

    /// <exception cref="InvalidOperationException">It did not come to listen; what it said stands on standard error.</exception>
    public static async Task<ServerProcess> StartAsync(bool stock, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [typeof(ServerProcess).Assembly.Location, "serve", .. stock ? ["--stock"] : Array.Empty<string>()])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true, // its end is the server's end, however this process dies
        };
        var server = new ServerProcess(Process.Start(start)!);
        try
        {
            await server.BecomeReadyAsync(cancel);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public Task<long> AllocatedAsync(CancellationToken cancel) => AskAsync("/allocated", cancel);

    /// <summary>Bytes of live objects, and bytes resident, right after a full collection.</summary>
    public async Task<MemoryInUse> MemoryAsync(CancellationToken cancel)
    {
        var live = await AskAsync("/live", cancel);
        var resident = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return new MemoryInUse(live, 1024 * long.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture));
    }

    public void Dispose()
    {
        _process.Kill(); // nothing of it is needed any more
        _process.WaitForExit();
        _process.Dispose();
        _client.Dispose();
    }

    private async Task BecomeReadyAsync(CancellationToken cancel)
    {
        var line = await _process.StandardOutput.ReadLineAsync(cancel).AsTask().WaitAsync(StartTimeout, cancel);
        if (line is null || !line.StartsWith(BenchmarkServer.Ready, StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"The server did not start: {line ?? "it ended"}");
        }

        var addresses = line[BenchmarkServer.Ready.Length..].Split(' ');
        Http = new Uri(addresses.Single(a => a.StartsWith("http:", StringComparison.Ordinal)));
        Https = new Uri(addresses.Single(a => a.StartsWith("https:", StringComparison.Ordinal)));
    }

    private async Task<long> AskAsync(string path, CancellationToken cancel) =>
        long.Parse(await _client.GetStringAsync(new Uri(Http, path), cancel), CultureInfo.InvariantCulture);
}

internal sealed record MemoryInUse(long Live, long Resident);
