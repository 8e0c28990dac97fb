namespace KestrelHandoff.Transport.Coordination;

/// <summary>Counts the connections on their way: taken, and neither the other instance's nor ours again.</summary>
internal sealed class Unsettled
{
    private int _count;
    private TaskCompletionSource _fewer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Add() => Interlocked.Increment(ref _count);

    public void Settle()
    {
        if (Interlocked.Decrement(ref _count) <= 1) // two may wait: for the last of a group, and for the last of all
        {
            Interlocked.Exchange(ref _fewer, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        }
    }

    /// <summary>Returns when fewer than <paramref name="limit"/>, 1 or 2, are on their way.</summary>
    public async Task WhenFewerAsync(int limit, CancellationToken cancellationToken)
    {
        while (true)
        {
            var fewer = Volatile.Read(ref _fewer).Task; // before the look: settled in between it would be a new one, which nobody completes
            if (Volatile.Read(ref _count) < limit)
            {
                return;
            }

            await fewer.WaitAsync(cancellationToken);
        }
    }
}
