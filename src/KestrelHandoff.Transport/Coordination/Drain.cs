using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>After the handoff: serves the connections that are left to their end, then stops the host. The server runs on all the while.</summary>
internal sealed class Drain(
    ConnectionRegistry connections,
    Migration migration,
    IOptions<SocketHandoffOptions> options,
    InstanceState state,
    Lineage lineage,
    DrainProgress progress,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<Drain> logger)
{
    /// <summary>The part of the drain in which goodbyes are said; the rest is for the clients to end in their own way.</summary>
    private const double GoodbyeShare = 0.5;

    private const int GoodbyeSteps = 100;

    /// <summary>Every answer from now on ends its connection.</summary>
    public bool HasBegun => state.Retiring.IsCancellationRequested; // not a moment after the app is told

    /// <summary>The connections that are left.</summary>
    public int Connections => connections.Count;

    /// <summary>Before the app is told: what it ends from then on must end well.</summary>
    public void Prepare() => connections.IsDraining = true;

    /// <param name="tellAsync">The way to the instance that serves; null if it does not listen.</param>
    public void Begin(TellAsync? tellAsync) => _ = RunAsync(tellAsync);

    private async Task RunAsync(TellAsync? tellAsync)
    {
        try
        {
            var limit = options.Value.DrainTimeout;
            Log.Draining(logger, connections.Count, limit.TotalSeconds);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping); // by the host's stop, or below
            var end = Task.Delay(limit, time, stop.Token);
            _ = SayGoodbyeAsync(limit * GoodbyeShare, stop.Token);
            var telling = tellAsync is null ? Task.CompletedTask : progress.FollowAsync(tellAsync, stop.Token);
            await Task.WhenAny(WhenGoneAsync(), end);
            await stop.CancelAsync();
            migration.GiveUp();
            await telling;
            state.Move(HandoffSignal.Drained);
            var last = progress.Read(isOver: true);
            Log.Retiring(logger, last.ConnectionsMigrated, last.ConnectionsDrained, last.ConnectionsAborted);
        }
        finally
        {
            lifetime.StopApplication(); // an instance without listeners must not stay, whatever a logger throws
        }
    }

    /// <summary>
    /// To all that cannot move, one after the other: clients that are told at once come back at once. When the window is over, to those as well that could have
    /// moved and did not.
    /// </summary>
    private async Task SayGoodbyeAsync(TimeSpan window, CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromMilliseconds(Math.Max(1, window.TotalMilliseconds / GoodbyeSteps)); // a pause of none would never leave this loop
        for (var step = 0; !cancellationToken.IsCancellationRequested; step++)
        {
            var left = Math.Max(1, GoodbyeSteps - step);
            var staying = connections.Snapshot()
                .Where(connection => connection.CanSayGoodbye && (step >= GoodbyeSteps || !connection.CanMove || !migration.Moves(connection)))
                .ToArray();
            foreach (var connection in staying.Take((staying.Length + left - 1) / left))
            {
                connection.SayGoodbye();
            }

            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task WhenGoneAsync()
    {
        do
        {
            await connections.WhenEmpty();
            await migration.WhenSettledAsync(CancellationToken.None);
            await lineage.WhenNone(); // what those before this one still give away goes through here
        }
        while (connections.Count > 0); // what the successor could not take is served here again
    }
}
