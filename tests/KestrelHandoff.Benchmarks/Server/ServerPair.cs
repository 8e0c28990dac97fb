using KestrelHandoff.Benchmarks.Measure;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>The app twice: on this library's transport and on Kestrel's own.</summary>
internal sealed class ServerPair(ServerProcess ours, ServerProcess stock) : IDisposable
{
    public static async Task<ServerPair> StartAsync(CancellationToken cancel)
    {
        var ours = await ServerProcess.StartAsync(stock: false, cancel);
        try
        {
            return new ServerPair(ours, await ServerProcess.StartAsync(stock: true, cancel));
        }
        catch
        {
            ours.Dispose();
            throw;
        }
    }

    /// <summary>Measures both, one after the other. Turns change with every pair (ABBA), so that a machine that slows down slows both.</summary>
    public async Task<Pair<T>> MeasureAsync<T>(int number, Func<ServerProcess, Task<T>> measure)
    {
        if (number % 2 == 0)
        {
            var first = await measure(ours);
            return new Pair<T>(first, await measure(stock));
        }

        var before = await measure(stock);
        return new Pair<T>(await measure(ours), before);
    }

    public void Dispose()
    {
        ours.Dispose();
        stock.Dispose();
    }
}
