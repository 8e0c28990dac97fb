using System.Diagnostics;
using System.Globalization;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>A measured app: where it listens, and what its process needs.</summary>
internal sealed class ServedApp : IDisposable
{
    private readonly HttpClient _client = new();
    private readonly Process _process;

    /// <param name="addresses">What it prints when it is ready: one of HTTP, one of HTTPS.</param>
    /// <param name="process">The process it runs in, which is the caller's to dispose.</param>
    public ServedApp(string addresses, Process process)
    {
        var urls = addresses.Split(' ');
        Http = new Uri(urls.Single(url => url.StartsWith("http:", StringComparison.Ordinal)));
        Https = new Uri(urls.Single(url => url.StartsWith("https:", StringComparison.Ordinal)));
        _process = process;
    }

    public Uri Http { get; }

    public Uri Https { get; }

    /// <summary>What its process has used of the processors, the kernel's part included.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
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

    public void Dispose() => _client.Dispose();

    private async Task<long> AskAsync(string path, CancellationToken cancel) =>
        long.Parse(await _client.GetStringAsync(new Uri(Http, path), cancel), CultureInfo.InvariantCulture);
}

internal sealed record MemoryInUse(long Live, long Resident);
