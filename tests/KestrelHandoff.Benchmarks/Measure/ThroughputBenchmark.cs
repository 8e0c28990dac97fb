using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>Ratios are taken within a pair, whose runs met the same process and the same machine, and only then compared.</summary>
internal sealed record ThroughputResult(string Scenario, IReadOnlyList<Pair<Turns>> Pairs)
{
    public Spread RequestsRatio => Spread.Of(Pairs.Select(p => p.Ours.RequestsPerSecond / p.Stock.RequestsPerSecond));

    public Spread ProcessorTimeRatio => Spread.Of(Pairs.Select(p => p.Ours.ProcessorMicroseconds / p.Stock.ProcessorMicroseconds));

    public Spread P99Ratio => Spread.Of(Pairs.Select(p => p.Ours.P99Ms / p.Stock.P99Ms));

    public Pair<double> RequestsPerSecond => Medians(turns => turns.RequestsPerSecond);

    public Pair<double> ProcessorMicroseconds => Medians(turns => turns.ProcessorMicroseconds);

    public Pair<double> P99Ms => Medians(turns => turns.P99Ms);

    public Pair<long> SocketErrors => new(Pairs.Sum(p => p.Ours.SocketErrors), Pairs.Sum(p => p.Stock.SocketErrors));

    private Pair<double> Medians(Func<Turns, double> figure) =>
        new(Spread.Of(Pairs.Select(p => figure(p.Ours))).Median, Spread.Of(Pairs.Select(p => figure(p.Stock))).Median);
}

/// <summary>One transport's runs in one process; of their median, so that a second in which the machine stalled decides nothing.</summary>
internal sealed record Turns(IReadOnlyList<Turn> Runs)
{
    public double RequestsPerSecond => Spread.Of(Runs.Select(run => run.Load.RequestsPerSecond)).Median;

    public double P99Ms => Spread.Of(Runs.Select(run => run.Load.P99Ms)).Median;

    /// <summary>For a request; of the sums, since the kernel counts in ticks of 10 ms.</summary>
    public double ProcessorMicroseconds => Runs.Sum(run => run.ProcessorTime.TotalMicroseconds) / Runs.Sum(run => run.Load.Requests);

    public long SocketErrors => Runs.Sum(run => run.Load.SocketErrors);
}

/// <summary>A second of load.</summary>
internal sealed record Turn(WrkResult Load, TimeSpan ProcessorTime);

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
        var pairs = new List<Pair<Turns>>();
        while (pairs.Count < settings.Pairs)
        {
            // A new process each time: two that run the same code differ by up to 15 % for as long as they live.
            using var servers = await ServerPair.StartTogetherAsync(stockFirst: pairs.Count % 2 == 1, cancel);
            await RunInTurnsAsync(servers, WarmUpSeconds);
            var runs = await RunInTurnsAsync(servers, settings.Seconds);
            var pair = new Pair<Turns>(new Turns([.. runs.Select(run => run.Ours)]), new Turns([.. runs.Select(run => run.Stock)]));
            pairs.Add(pair);
            await Console.Error.WriteLineAsync(
                $"{scenario.Name}, pair {pairs.Count} of {settings.Pairs}: {pair.Ours.RequestsPerSecond:0} against {pair.Stock.RequestsPerSecond:0} requests/s, "
                + $"{pair.Ours.ProcessorMicroseconds:0.00} against {pair.Stock.ProcessorMicroseconds:0.00} µs of processor time a request");
        }

        return new ThroughputResult(scenario.Name, pairs);

        async Task<List<Pair<Turn>>> RunInTurnsAsync(ServerPair servers, int seconds)
        {
            var runs = new List<Pair<Turn>>();
            while (runs.Count < seconds)
            {
                runs.Add(await servers.MeasureAsync(runs.Count, RunOneSecondAsync));
            }

            return runs;
        }

        async Task<Turn> RunOneSecondAsync(ServedApp app)
        {
            var before = app.ProcessorTime;
            var load = await Wrk.RunAsync(new Uri(scenario.Https ? app.Https : app.Http, scenario.Path), scenario.Close, seconds: 1, cancel);
            return new(load, app.ProcessorTime - before);
        }
    }

    private sealed record Scenario(string Name)
    {
        public string Path { get; init; } = "/";
        public bool Https { get; init; }
        public bool Close { get; init; }
    }
}
