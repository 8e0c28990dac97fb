namespace KestrelHandoff.Http;

/// <summary>How a handler is told that its connection has gone.</summary>
internal static class QuietCancellation
{
    /// <summary>
    /// When it returns the token is cancelled: who catches what the handler throws next sees that nothing is wrong. What was registered with it is the app's, and runs elsewhere.
    /// </summary>
    public static void CancelQuietly(this CancellationTokenSource source)
    {
        try
        {
            _ = source.CancelAsync().ContinueWith(
                static task => _ = task.Exception, // what the app registered has failed, and the connection goes all the same
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously | TaskContinuationOptions.OnlyOnFaulted,
                TaskScheduler.Default);
        }
        catch (ObjectDisposedException)
        {
            // the handler has ended already
        }
    }
}
