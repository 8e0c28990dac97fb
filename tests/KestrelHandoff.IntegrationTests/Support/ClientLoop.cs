namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>Clients that go on all the while; the first failure of any is the test's.</summary>
internal sealed class ClientLoop : IAsyncDisposable
{
    // Clients that took all of the machine would starve the successors that start meanwhile.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private int _answered;
    private TaskCompletionSource _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ClientLoop(Func<int, Task> request, int clients) =>
        _running = Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(() => RunAsync(() => request(client)))));

    public static ClientLoop Start(Func<Task> request, int clients = 2) => new(_ => request(), clients);

    /// <summary>Each client is given its number.</summary>
    public static ClientLoop Start(Func<int, Task> request, int clients) => new(request, clients);

    /// <summary>Waits for some more answers.</summary>
    public async Task AnsweredAsync(int more)
    {
        var goal = Volatile.Read(ref _answered) + more;
        while (Volatile.Read(ref _answered) < goal)
        {
            var progress = Volatile.Read(ref _progress).Task;
            if (Volatile.Read(ref _answered) < goal)
            {
                await Task.WhenAny(progress, _running).OrHang();
            }

            if (_running.IsCompleted)
            {
                await _running;
            }
        }
    }

    /// <summary>Ends the clients and throws what went wrong for any.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running.OrHang();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(Func<Task> request)
    {
        using var pace = new PeriodicTimer(Pace);
        try
        {
            while (!_stop.IsCancellationRequested && await pace.WaitForNextTickAsync())
            {
                await request().OrHang();
                Interlocked.Increment(ref _answered);
                Interlocked.Exchange(ref _progress, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
            }
        }
        catch
        {
            await _stop.CancelAsync();
            throw;
        }
    }
}
