namespace KestrelHandoff.TestSupport;

/// <summary>Asks again and again, for what nobody tells.</summary>
internal static class Poll
{
    // Questions without a pause would take the machine from those who are to bring it about.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    public static async Task UntilAsync(Func<Task<bool>> isReached)
    {
        using var pace = new PeriodicTimer(Pace);
        while (!await isReached())
        {
            await pace.WaitForNextTickAsync();
        }
    }
}
