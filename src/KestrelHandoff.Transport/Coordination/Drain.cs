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
    Goodbyes goodbyes,
    IOptions<SocketHandoffOptions> options,
    InstanceState state,
    Lineage lineage,
    DrainProgress progress,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<Drain> logger) : IDisposable
{
    /// <summary>With a client that does not read, or a handler that does not end: the host stops, and everything in flight has only so long.</summary>
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stopping = new(); // cancelled when the host stops
    private Task _draining = Task.CompletedTask;

    /// <summary>Every answer from now on ends its connection.</summary>
    public bool HasBegun => state.Retiring.IsCancellationRequested; // not a moment after the app is told

    /// <summary>The connections that are left.</summary>
    public int Connections => connections.Count;

    /// <summary>Before the app is told: what it ends from then on must end well.</summary>
    public void Prepare() => connections.IsDraining = true;

    /// <param name="tellAsync">The way to the instance that serves; null if it does not listen.</param>
    public void Begin(TellAsync? tellAsync) => _draining = RunAsync(tellAsync);

    /// <summary>The host stops, and with it the drain. What can still go to the other instance goes first: a server that stops would close it.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await _draining;
    }

    public void Dispose() => _stopping.Dispose();

    private async Task RunAsync(TellAsync? tellAsync)
    {
        try
        {
            var limit = options.Value.DrainTimeout;
            Log.Draining(logger, connections.Count, limit.TotalSeconds);
            using var stop = new CancellationTokenSource();
            var end = Task.Delay(limit, time, _stopping.Token);
            var saying = goodbyes.SayAsync(limit, stop.Token);
            var telling = tellAsync is null ? Task.CompletedTask : progress.FollowAsync(tellAsync, stop.Token);
            await Task.WhenAny(WhenGoneAsync(), end);
            if (_stopping.IsCancellationRequested)
            {
                migration.AwaitBusy();
                await WhenSettledAsync();
            }

            migration.End();
            await WhenSettledAsync(); // what was held in the last moment
            migration.GiveUp();
            await stop.CancelAsync();
            await Task.WhenAll(telling, saying);
            state.Move(HandoffSignal.Drained);
            var last = progress.Read(isOver: true);
            Log.Retiring(logger, last.ConnectionsMigrated, last.ConnectionsDrained, last.ConnectionsAborted);
        }
        catch (Exception e)
        {
            Log.DrainFailed(logger, e);
        }
        finally
        {
            lifetime.StopApplication(); // an instance without listeners must not stay, whatever a logger throws
        }
    }

    private async Task WhenSettledAsync() => await Task.WhenAny(migration.WhenSettledAsync(CancellationToken.None), Task.Delay(LastPatience, time));

    private async Task WhenGoneAsync()
    {
        do
        {
            await connections.WhenEmpty();
            await lineage.WhenNone(); // what those before this one still give away goes through here
            await migration.WhenSettledAsync(CancellationToken.None);
        }
        while (connections.Count > 0); // what the successor could not take is served here again
    }
}
