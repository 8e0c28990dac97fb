using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>Bytes an idle kept-alive connection holds in the server after its first request.</summary>
internal static class MemoryBenchmark
{
    private const int Repeats = 3;
    private const int WarmUpConnections = 1_000;

    public static async Task<IReadOnlyList<BytesResult>> RunAsync(int connections, CancellationToken cancel)
    {
        var repeats = new List<Pair<Held>>();
        for (var number = 0; number < Repeats; number++)
        {
            // New processes: what an earlier repeat has left in pools would be found there by the next.
            using var servers = await ServerPair.StartApartAsync(cancel);
            repeats.Add(await servers.MeasureAsync(number, app => HoldAsync(app, connections, cancel)));
            await Console.Error.WriteLineAsync($"{connections} idle connections, {number + 1} of {Repeats}");
        }

        return
        [
            Result("objects of an idle connection", held => held.Live),
            Result("resident memory of an idle connection", held => held.Resident),
        ];

        BytesResult Result(string what, Func<Held, double> bytes) =>
            new(what, [.. repeats.Select(r => new Pair<double>(bytes(r.Ours), bytes(r.Stock)))]);
    }

    private static async Task<Held> HoldAsync(ServedApp app, int connections, CancellationToken cancel)
    {
        // One at a time: the code gets compiled, and hardly anything pooled.
        for (var i = 0; i < WarmUpConnections; i++)
        {
            await RawConnection.AskOnceAsync(app.Http, cancel);
        }

        var before = await app.MemoryAsync(cancel);
        var held = new List<RawConnection>();
        try
        {
            while (held.Count < connections)
            {
                held.Add(await RawConnection.OpenAsync(app.Http, cancel));
                await held[^1].AskAsync(cancel);
            }

            var after = await app.MemoryAsync(cancel);
            return new Held((double)(after.Live - before.Live) / connections, (double)(after.Resident - before.Resident) / connections);
        }
        finally
        {
            held.ForEach(connection => connection.Dispose());
        }
    }

    private sealed record Held(double Live, double Resident);
}
