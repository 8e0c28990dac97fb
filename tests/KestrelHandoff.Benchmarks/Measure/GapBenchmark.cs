using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>What clients noticed of the restarts of one kind of server.</summary>
internal sealed record GapResult(string Server, IReadOnlyList<Restart> Restarts)
{
    public Spread Gap => Spread.Of(Restarts.Select(r => r.GapMs));

    public Spread GapWithStalls => Spread.Of(Restarts.Select(r => r.GapWithStallsMs));

    public Spread P999 => Spread.Of(Restarts.Select(r => r.P999Ms));

    public Spread GapBefore => Spread.Of(Restarts.Select(r => r.GapBeforeMs));

    public Spread P999Before => Spread.Of(Restarts.Select(r => r.P999BeforeMs));
}

/// <summary>The longest gap in answers around a restart: ours, beside a peer's and beside stop-then-start.</summary>
internal static class GapBenchmark
{
    /// <summary>Then new processes: one that was restarted often is warmer than those of a deployment.</summary>
    private const int RestartsInARow = 6;

    public static async Task<IReadOnlyList<GapResult>> RunAsync(BenchmarkSettings settings, CancellationToken cancel)
    {
        using var client = new GapClient(settings.Window);
        await client.CompileAsync(cancel);
        var restarts = Kinds(settings).ToDictionary(kind => kind, _ => new List<Restart>());
        while (restarts.Values.Any(done => done.Count < settings.Restarts))
        {
            foreach (var (kind, done) in restarts) // in turns: this machine is another one in an hour
            {
                await RestartAsync(client, kind, done, Math.Min(done.Count + RestartsInARow, settings.Restarts), cancel);
            }
        }

        return [.. restarts.Select(pair => new GapResult(pair.Key.Name, pair.Value))];
    }

    private static IEnumerable<ServerKind> Kinds(BenchmarkSettings settings)
    {
        yield return ServerKind.Handoff("HandoffDemo, JIT", RestartedServer.DemoApp);
        if (settings.NativeApp is { } native)
        {
            yield return ServerKind.Handoff("HandoffDemo, NativeAOT", native);
        }

        if (settings.Tableflip is { } tableflip)
        {
            yield return ServerKind.Tableflip(tableflip);
        }

        yield return ServerKind.StopThenStart(RestartedServer.DemoApp);
    }

    private static async Task RestartAsync(GapClient client, ServerKind kind, List<Restart> done, int until, CancellationToken cancel)
    {
        using var server = await RestartedServer.StartAsync(kind, cancel);
        while (done.Count < until)
        {
            var restart = await client.RunAsync(server, cancel);
            done.Add(restart);
            await Console.Error.WriteLineAsync(
                $"{kind.Name}, {done.Count}: gap {restart.GapMs:0.0} ms, p99.9 {restart.P999Ms:0.0} ms; lost {restart.Lost}, refused {restart.Refused}, reset {restart.Reset}, closed {restart.Closed}");
        }
    }
}
