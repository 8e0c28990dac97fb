using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>Bytes the server allocates for a request.</summary>
internal static class AllocationBenchmark
{
    private const int Repeats = 3;
    private const int KeepAliveRequests = 20_000;
    private const int NewConnections = 4_000;

    public static async Task<IReadOnlyList<BytesResult>> RunAsync(CancellationToken cancel)
    {
        using var servers = await ServerPair.StartApartAsync(cancel);
        return
        [
            await RepeatAsync("allocated for a request, keep-alive", KeepAliveRequests, KeepAliveAsync),
            await RepeatAsync("allocated for a request and its connection", NewConnections, NewConnectionsAsync),
        ];

        async Task<BytesResult> RepeatAsync(string what, int requests, Func<Uri, CancellationToken, Task> ask)
        {
            // Nothing of the first counts: what is made once would be, and code not yet optimized allocates more.
            await servers.MeasureAsync(0, BytesPerRequestAsync);
            var repeats = new List<Pair<double>>();
            for (var number = 0; number < Repeats; number++)
            {
                repeats.Add(await servers.MeasureAsync(number, BytesPerRequestAsync));
            }

            await Console.Error.WriteLineAsync($"{what}: {requests} requests, {Repeats} times");
            return new BytesResult(what, repeats);

            async Task<double> BytesPerRequestAsync(ServedApp app)
            {
                var before = await app.AllocatedAsync(cancel);
                await ask(app.Http, cancel);
                return (double)(await app.AllocatedAsync(cancel) - before) / requests;
            }
        }
    }

    private static async Task KeepAliveAsync(Uri address, CancellationToken cancel)
    {
        using var connection = await RawConnection.OpenAsync(address, cancel);
        for (var i = 0; i < KeepAliveRequests; i++)
        {
            await connection.AskAsync(cancel);
        }
    }

    private static async Task NewConnectionsAsync(Uri address, CancellationToken cancel)
    {
        for (var i = 0; i < NewConnections; i++)
        {
            await RawConnection.AskOnceAsync(address, cancel);
        }
    }
}
