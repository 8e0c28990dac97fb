namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// More pool threads than .NET begins with, while a handoff needs them. It is code that runs for the first time, and is compiled, on pool threads: a machine
/// of two cores has two of them, and clients wait for one. The longest gap in answers around a handoff is twice as long without this (docs/performance.md).
/// </summary>
internal static class PoolFloor
{
    private const int Workers = 8;

    private static readonly Lock Sync = new(); // there is one pool, whatever the number of hosts
    private static int _holders;
    private static int? _before;

    /// <summary>Raises it, unless it is as high already or the app's maximum is lower.</summary>
    /// <returns>Disposed, it is the app's again, once nobody needs it.</returns>
    public static IDisposable Raise()
    {
        lock (Sync)
        {
            ThreadPool.GetMinThreads(out var workers, out var completions);
            if (_holders++ == 0 && workers < Workers && ThreadPool.SetMinThreads(Workers, completions))
            {
                _before = workers;
            }
        }

        return new Holder();
    }

    private static void Lower()
    {
        lock (Sync)
        {
            if (--_holders > 0 || _before is not { } before)
            {
                return;
            }

            _before = null;
            ThreadPool.GetMinThreads(out var workers, out var completions);
            if (workers == Workers) // else the app has set it meanwhile
            {
                _ = ThreadPool.SetMinThreads(before, completions);
            }
        }
    }

    private sealed class Holder : IDisposable
    {
        private bool _isDisposed;

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _isDisposed, true))
            {
                Lower();
            }
        }
    }
}
