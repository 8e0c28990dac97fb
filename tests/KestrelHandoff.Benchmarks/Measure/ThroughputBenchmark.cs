using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>Ratios are taken within a pair, whose runs met the same processes and the same machine, and only then compared.</summary>
internal sealed record ThroughputResult(string Scenario, IReadOnlyList<ProcessPair> Pairs)
{
    public Spread RequestsRatio => Ratio(turns => turns.RequestsPerSecond);

    public Spread ProcessorTimeRatio => Ratio(turns => turns.ProcessorMicroseconds);

    public Spread P99Ratio => Ratio(turns => turns.P99Ms);

    public Pair<double> RequestsPerSecond => Medians(turns => turns.RequestsPerSecond);

    public Pair<double> ProcessorMicroseconds => Medians(turns => turns.ProcessorMicroseconds);

    public Pair<double> P99Ms => Medians(turns => turns.P99Ms);

    public Pair<long> SocketErrors => new(
        Pairs.Sum(p => p.OursFirst.Ours.SocketErrors + p.StockFirst.Ours.SocketErrors),
        Pairs.Sum(p => p.OursFirst.Stock.SocketErrors + p.StockFirst.Stock.SocketErrors));

    private Spread Ratio(Func<Turns, double> figure) => Spread.Of(Pairs.Select(p => p.Of(figure)).Select(mean => mean.Ours / mean.Stock));

    private Pair<double> Medians(Func<Turns, double> figure) =>
        new(Spread.Of(Pairs.Select(p => p.Of(figure).Ours)).Median, Spread.Of(Pairs.Select(p => p.Of(figure).Stock)).Median);
}

/// <summary>
/// Two processes, in each of which both transports served: who is started and used first need not be as fast as who is second, for as long as the process
/// lives, since the code they share is compiled with what the first one did in mind. Each was first once.
/// </summary>
internal sealed record ProcessPair(Pair<Turns> OursFirst, Pair<Turns> StockFirst)
{
    /// <summary>The geometric means, whose ratio is the geometric mean of the two ratios.</summary>
    public Pair<double> Of(Func<Turns, double> figure) =>
        new(Math.Sqrt(figure(OursFirst.Ours) * figure(StockFirst.Ours)), Math.Sqrt(figure(OursFirst.Stock) * figure(StockFirst.Stock)));
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
        new("64 KB upload, keep-alive") { Path = "/upload", Upload = true },
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
        var pairs = new List<ProcessPair>();
        while (pairs.Count < settings.Pairs)
        {
            var oursFirst = await RunInProcessAsync(stockFirst: false);
            pairs.Add(new ProcessPair(oursFirst, await RunInProcessAsync(stockFirst: true)));
        }

        return new ThroughputResult(scenario.Name, pairs);

        async Task<Pair<Turns>> RunInProcessAsync(bool stockFirst)
        {
            // A new process each time: two that run the same code differ by up to 15 % for as long as they live.
            using var servers = await ServerPair.StartTogetherAsync(stockFirst, cancel);
            await RunInTurnsAsync(servers, WarmUpSeconds);
            var runs = await RunInTurnsAsync(servers, settings.Seconds);
            var turns = new Pair<Turns>(new Turns([.. runs.Select(run => run.Ours)]), new Turns([.. runs.Select(run => run.Stock)]));
            await Console.Error.WriteLineAsync(
                $"{scenario.Name}, pair {pairs.Count + 1} of {settings.Pairs}, {(stockFirst ? "Kestrel's own" : "ours")} first: "
                + $"{turns.Ours.RequestsPerSecond:0} against {turns.Stock.RequestsPerSecond:0} requests/s, "
                + $"{turns.Ours.ProcessorMicroseconds:0.00} against {turns.Stock.ProcessorMicroseconds:0.00} µs of processor time a request");
            return turns;
        }

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
            var load = await Wrk.RunAsync(new Uri(scenario.Https ? app.Https : app.Http, scenario.Path), scenario.Close, scenario.Upload, seconds: 1, cancel);
            return new(load, app.ProcessorTime - before);
        }
    }

    private sealed record Scenario(string Name)
    {
        public string Path { get; init; } = "/";
        public bool Https { get; init; }
        public bool Close { get; init; }
        public bool Upload { get; init; }
    }
}
