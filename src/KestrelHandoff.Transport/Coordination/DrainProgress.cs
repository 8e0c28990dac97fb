using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>Sends what this instance says of its drain.</summary>
internal delegate Task TellAsync(Draining draining, CancellationToken cancellationToken);

/// <summary>Tells the instance that serves how far this one's drain has come, so that who asks that one sees them all.</summary>
internal sealed class DrainProgress(
    ConnectionRegistry connections, Migration migration, Lineage lineage, InstanceState state, Deadlines deadlines, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>This instance as it stands.</summary>
    /// <param name="isOver">What is left now is closed.</param>
    public HandoffDrainingInstance Read(bool isOver)
    {
        var left = connections.Count;
        return new(Environment.ProcessId, state.Generation, state.Current.Since)
        {
            Connections = isOver ? 0 : left,
            ConnectionsMigrated = migration.Count,
            ConnectionsDrained = Math.Max(0, connections.DrainTotal - migration.Count - migration.Kept - left),
            ConnectionsAborted = isOver ? left : 0,
        };
    }

    /// <summary>Tells at once, at each change, and a last time when the drain is over; returns when the other side listens no more, too.</summary>
    /// <param name="tellAsync">The way to the instance that serves.</param>
    /// <param name="over">The drain is over.</param>
    public async Task FollowAsync(TellAsync tellAsync, CancellationToken over)
    {
        IReadOnlyList<HandoffDrainingInstance> told = [];
        try
        {
            for (var isOver = false; !isOver;)
            {
                isOver = over.IsCancellationRequested;
                IReadOnlyList<HandoffDrainingInstance> now = [Read(isOver), .. lineage.Draining];
                if (!now.SequenceEqual(told))
                {
                    await deadlines.RunAsync(HandoffStep.Exchange, "Sending Draining", token => tellAsync(new(now), token), CancellationToken.None);
                    told = now;
                }

                await Task.Delay(Interval, time, over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception e) when (e is HandoffException or ObjectDisposedException || PeerGone.Is(e))
        {
            // nobody listens: the drain goes on all the same
        }
    }
}
