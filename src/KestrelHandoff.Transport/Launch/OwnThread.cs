namespace KestrelHandoff.Transport.Launch;

/// <summary>
/// A thread for what keeps one busy: of a pool that has two, one is half of what serves. What a handoff begins with is compiled as it runs, and takes 20 to 80 ms.
/// </summary>
internal static class OwnThread
{
    /// <summary>Runs <paramref name="work"/> on a thread that ends with it.</summary>
    /// <param name="name">For who lists the threads; up to 15 characters of it are seen, prctl(2).</param>
    /// <param name="work">What it throws, the task fails with.</param>
    public static Task<T> RunAsync<T>(string name, Func<T> work)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                result.SetResult(work());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        })
        { IsBackground = true, Name = name };
        thread.Start();
        return result.Task;
    }
}
