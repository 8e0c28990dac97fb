using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>Ratios are taken within a pair, whose two runs met the same machine, and only then compared.</summary>
internal sealed record ThroughputResult(string Scenario, IReadOnlyList<Pair<WrkResult>> Pairs)
{
    public Spread RequestsRatio => Spread.Of(Pairs.Select(p => p.Ours.RequestsPerSecond / p.Stock.RequestsPerSecond));

    public Spread P99Ratio => Spread.Of(Pairs.Select(p => p.Ours.P99Ms / p.Stock.P99Ms));

    public Pair<double> RequestsPerSecond => Medians(r => r.RequestsPerSecond);

    public Pair<double> P99Ms => Medians(r => r.P99Ms);

    public Pair<long> SocketErrors => new(Pairs.Sum(p => p.Ours.SocketErrors), Pairs.Sum(p => p.Stock.SocketErrors));

    private Pair<double> Medians(Func<WrkResult, double> figure) =>
        new(Spread.Of(Pairs.Select(p => figure(p.Ours))).Median, Spread.Of(Pairs.Select(p => figure(p.Stock))).Median);
}

/// <summary>Requests a second and p99 latency.</summary>
internal static class ThroughputBenchmark
{
    private const int WarmUpSeconds = 4; // until hot code is compiled for the second time

    private static readonly Scenario[] Scenarios =
    [
        new("plaintext, keep-alive"),
        new("plaintext, connection per request") { Close = true },
        new("16 KB body, keep-alive") { Path = "/16k" },
        new("plaintext over HTTPS, keep-alive") { Https = true },
    ];

    public static async Task<IReadOnlyList<ThroughputResult>> RunAsync(BenchmarkSettings settings, CancellationToken cancel)
    {
        var results = new List<ThroughputResult>();
        foreach (var scenario in Scenarios)
        {
            results.Add(await RunAsync(scenario, settings, cancel));
        }

        return results;
    }

    private static async Task<ThroughputResult> RunAsync(Scenario scenario, BenchmarkSettings settings, CancellationToken cancel)
    {
        var pairs = new List<Pair<WrkResult>>();
        for (var number = 0; number < settings.Pairs; number++)
        {
            // New processes each time: two that run the same code differ by up to 15 % for as long as they live.
            using var servers = await ServerPair.StartAsync(cancel);
            await servers.MeasureAsync(number, server => LoadAsync(server, WarmUpSeconds));
            var pair = await servers.MeasureAsync(number, server => LoadAsync(server, settings.Seconds));
            await Console.Error.WriteLineAsync(
                $"{scenario.Name}, pair {number + 1} of {settings.Pairs}: {pair.Ours.RequestsPerSecond:0} against {pair.Stock.RequestsPerSecond:0} requests/s");
            pairs.Add(pair);
        }

        return new ThroughputResult(scenario.Name, pairs);

        Task<WrkResult> LoadAsync(ServerProcess server, int seconds) =>
            Wrk.RunAsync(new Uri(scenario.Https ? server.Https : server.Http, scenario.Path), scenario.Close, seconds, cancel);
    }

    private sealed record Scenario(string Name)
    {
        public string Path { get; init; } = "/";
        public bool Https { get; init; }
        public bool Close { get; init; }
    }
}
