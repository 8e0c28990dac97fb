namespace KestrelHandoff.Fuzz;

/// <summary>Threads of their own, for the pool's are the server's: they block.</summary>
internal static class Workers
{
    /// <summary>Does the numbers from <paramref name="first"/> on, in any order. The first failure ends all.</summary>
    public static Task RunAsync(long first, long count, int threads, Action<uint> action, CancellationToken cancel)
    {
        var next = first - 1;
        return Task.WhenAll(Enumerable.Range(0, threads).Select(_ => Task.Factory.StartNew(
            () =>
            {
                try
                {
                    for (long number; (number = Interlocked.Increment(ref next)) < first + count;)
                    {
                        cancel.ThrowIfCancellationRequested();
                        action((uint)number);
                    }
                }
                catch
                {
                    Interlocked.Exchange(ref next, first + count);
                    throw;
                }
            },
            cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));
    }
}
