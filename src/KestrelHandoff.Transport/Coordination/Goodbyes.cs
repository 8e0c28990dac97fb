using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// Ends, in the course of a drain, the connections that stay: one after the other, since clients that are told at once come back at once. First those
/// whose protocol has a word for it; then the others, the longest silent first, and as late as can be: each has until then to end with an answer that says so.
/// </summary>
internal sealed class Goodbyes(ConnectionRegistry connections, Migration migration, TimeProvider time)
{
    /// <summary>Of each of the two halves of a drain.</summary>
    internal const int Steps = 100;

    /// <summary>By then all have been closed: after it there is time for the clients to close their side.</summary>
    internal const int LastStep = 180;

    /// <summary>With callbacks of the app's that hear of a goodbye, and block.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Goes on to the end of the drain.</summary>
    /// <param name="drain">How long it may take.</param>
    /// <param name="cancellationToken">It is over.</param>
    public async Task SayAsync(TimeSpan drain, CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromMilliseconds(Math.Max(1, drain.TotalMilliseconds / (2 * Steps))); // a pause of none would never leave this loop
        var started = time.GetTimestamp();
        while (!cancellationToken.IsCancellationRequested)
        {
            var step = (int)(time.GetElapsedTime(started) / pause); // by the clock: timers are late, each of them
            var all = connections.Snapshot();
            HandoffConnection[] told = [.. step < Steps ? ToTell(all, step) : ToTell(all, step).Concat(ToClose(all, step))];
            if (told.Length > 0)
            {
                // On a thread of its own, and one only: what is blocked there is taken up by the next step, but for the one that blocks.
                var saying = Task.Run(() => Array.ForEach(told, connection => connection.SayGoodbye()), CancellationToken.None);
                await saying.WaitAsync(pause < Patience ? pause : Patience, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Those that cannot move; in the second half, those as well that could have moved and did not.</summary>
    private IEnumerable<HandoffConnection> ToTell(List<HandoffConnection> all, int step)
    {
        var left = Math.Max(1, Steps - step);
        var candidates = all.Where(connection => connection.CanSayGoodbye && (step >= Steps || !Moves(connection))).ToArray();
        return candidates.Take((candidates.Length + left - 1) / left);
    }

    private IEnumerable<HandoffConnection> ToClose(List<HandoffConnection> all, int step)
    {
        // Also those whose handler could let them go and does not: the close is asked for, and the handler may end in its own time.
        var candidates = all.Where(connection => connection.CanOnlyBeClosed && (connection.IsLetGoByHandler || !Moves(connection))).ToArray();
        var count = candidates.Length / Math.Max(1, LastStep - step);
        return count == 0 ? [] : candidates.OrderByDescending(connection => connection.Silence).Take(count);
    }

    private bool Moves(HandoffConnection connection) => connection.CanMove && migration.Moves(connection);
}
