using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// Ends, in the course of a drain, the connections that stay: one after the other, since clients that are told at once come back at once. First those
/// whose protocol has a word for it; then those that are idle and can only be closed, as late as can be, for each has until then to end with an answer that says so.
/// </summary>
internal sealed class Goodbyes(ConnectionRegistry connections, Migration migration, TimeProvider time)
{
    /// <summary>Of each of the two halves of a drain.</summary>
    internal const int Steps = 100;

    /// <summary>When the last idle one is closed: after it there is time for the clients to close their side.</summary>
    internal const int LastStep = 190;

    /// <summary>Goes on to the end of the drain.</summary>
    /// <param name="drain">How long it may take.</param>
    /// <param name="cancellationToken">It is over.</param>
    public async Task SayAsync(TimeSpan drain, CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromMilliseconds(Math.Max(1, drain.TotalMilliseconds / (2 * Steps))); // a pause of none would never leave this loop
        for (var step = 0; !cancellationToken.IsCancellationRequested; step++)
        {
            var isLate = step >= Steps;
            var all = connections.Snapshot();
            var told = all.Where(connection => connection.CanSayGoodbye && (isLate || !connection.CanMove || !migration.Moves(connection))).ToArray();
            var left = Math.Max(1, Steps - step);
            Say(told.Take((told.Length + left - 1) / left));
            if (isLate)
            {
                var closed = all.Where(connection => connection.CanOnlyBeClosed).ToArray();
                left = Math.Max(1, LastStep - step);
                Say(closed.OrderByDescending(connection => connection.Silence).Take(closed.Length / left));
            }

            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static void Say(IEnumerable<HandoffConnection> connections)
    {
        foreach (var connection in connections)
        {
            connection.SayGoodbye();
        }
    }
}
