using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>A successor that serves already and must not: accepts no more, gives back what it has accepted, and leaves as a predecessor does.</summary>
internal sealed class Withdrawal(
    IOptions<SocketHandoffOptions> options, InstanceState state, ListenerTable listeners, Migration migration, Drain drain, Deadlines deadlines, ILogger<Withdrawal> logger)
{
    /// <param name="rollBack">What the predecessor says; null if there is none any more: what was accepted is served here to its end.</param>
    /// <param name="cancellationToken">The host stops.</param>
    public async Task RunAsync(RolledBackException? rollBack, CancellationToken cancellationToken)
    {
        var names = listeners.Listeners
            .Where(listener => listener.Descriptor.AdoptedFrom is not null)
            .ToDictionary(listener => listener.Name, listener => listener.Descriptor.AdoptedFrom!);
        listeners.GiveBackPaths();
        await listeners.ReleaseAsync(names.Keys.ToHashSet());
        drain.Prepare();
        state.Move(HandoffSignal.RolledBack);
        if (rollBack is not { Line: var line })
        {
            migration.Forgo();
            drain.Begin(tellAsync: null);
            return;
        }

        try
        {
            migration.Begin(new(
                (migrate, descriptors, stop) => deadlines.RunAsync(
                    HandoffStep.Exchange, "Sending Migrate", token => line.SendAsync(migrate, descriptors, token), stop),
                token => ReadAnswerAsync(line, token)), names);
            await Task.WhenAny(migration.WhenSettledAsync(CancellationToken.None), deadlines.HalfOfExchange(rollBack.WithinMs, cancellationToken));
            var rolledBack = new RolledBack(migration.Count) { DrainMs = (long)options.Value.DrainTimeout.TotalMilliseconds };
            await deadlines.RunAsync(
                HandoffStep.Exchange, "Sending RolledBack", token => line.AnswerAsync(rolledBack, token), CancellationToken.None); // else we are killed
        }
        catch (Exception e)
        {
            Log.NotGivenBack(logger, e); // served here to its end
        }

        drain.Begin(line.Capabilities.Contains(ControlProtocol.Capabilities.Draining) ? (draining, token) => line.SendAsync(draining, [], token) : null);
    }

    private async Task<Migrated> ReadAnswerAsync(LifeLine line, CancellationToken cancellationToken)
    {
        var (migrated, _) = await deadlines.ExpectAsync<Migrated>(line.NextAsync, HandoffStep.Exchange, cancellationToken);
        return migrated;
    }
}
