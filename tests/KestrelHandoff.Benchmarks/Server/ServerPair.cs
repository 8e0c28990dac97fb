using KestrelHandoff.Benchmarks.Measure;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>The app twice: on this library's transport and on Kestrel's own.</summary>
internal sealed class ServerPair : IDisposable
{
    private readonly ServerProcess[] _processes;
    private readonly ServedApp _ours;
    private readonly ServedApp _stock;
    private readonly bool _stockFirst;

    private ServerPair(bool stockFirst, params ServerProcess[] processes)
    {
        _processes = processes;
        _stockFirst = stockFirst;
        ServedApp[] apps = [.. processes.SelectMany(process => process.Apps)];
        (_ours, _stock) = stockFirst ? (apps[1], apps[0]) : (apps[0], apps[1]);
    }

    /// <summary>Both in one process: whatever luck it has with its memory and its threads, both have.</summary>
    /// <param name="stockFirst">Which is started and used first; see <see cref="ProcessPair"/>.</param>
    /// <param name="cancel">Ends the wait for the start.</param>
    public static async Task<ServerPair> StartTogetherAsync(bool stockFirst, CancellationToken cancel)
    {
        TransportKind[] order = stockFirst ? [TransportKind.Stock, TransportKind.Ours] : [TransportKind.Ours, TransportKind.Stock];
        return new(stockFirst, await ServerProcess.StartAsync(cancel, order));
    }

    /// <summary>Each in a process of its own, which tells what that one needs.</summary>
    public static async Task<ServerPair> StartApartAsync(CancellationToken cancel)
    {
        var ours = await ServerProcess.StartAsync(cancel, TransportKind.Ours);
        try
        {
            return new ServerPair(stockFirst: false, ours, await ServerProcess.StartAsync(cancel, TransportKind.Stock));
        }
        catch
        {
            ours.Dispose();
            throw;
        }
    }

    /// <summary>Measures both, one after the other. Turns change with every number (ABBA), so that a machine that slows down slows both.</summary>
    public async Task<Pair<T>> MeasureAsync<T>(int number, Func<ServedApp, Task<T>> measure)
    {
        if (number % 2 == 0 != _stockFirst)
        {
            var first = await measure(_ours);
            return new Pair<T>(first, await measure(_stock));
        }

        var before = await measure(_stock);
        return new Pair<T>(await measure(_ours), before);
    }

    public void Dispose() => Array.ForEach(_processes, process => process.Dispose());
}
