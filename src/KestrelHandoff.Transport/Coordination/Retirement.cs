using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The drain of a predecessor that has let go, as its successor hears it: takes what moves, knows what is left, until the line ends.</summary>
internal sealed class Retirement(Arrivals arrivals, Lineage lineage, ILogger<Retirement> logger)
{
    /// <param name="line">To the predecessor; closed in the end.</param>
    /// <param name="welcome">Says who it is.</param>
    /// <param name="throwIfOff">Takes words that call the handoff off even now.</param>
    /// <param name="cancellationToken">The host stops.</param>
    public async Task WaitAsync(LifeLine line, Welcome welcome, Action<ControlMessage> throwIfOff, CancellationToken cancellationToken)
    {
        var predecessor = lineage.Add(welcome.ProcessId, welcome.Generation - 1);
        var (hasRetired, hasLetGo) = (false, false);
        try
        {
            while (await line.NextAsync(cancellationToken) is { } word)
            {
                using (word)
                {
                    if (!hasLetGo)
                    {
                        throwIfOff(word.Message); // later there is nobody else to serve
                    }

                    hasLetGo |= word.Message is Migrate or Draining;
                    switch (word.Message)
                    {
                        case Migrate migrate:
                            await arrivals.TakeAsync(migrate, word.Descriptors, isReturn: false, answer => line.AnswerAsync(answer, cancellationToken));
                            break;
                        case Draining draining:
                            lineage.Update(predecessor, draining.Instances);
                            break;
                    }
                }
            }

            hasRetired = true;
        }
        catch (OperationCanceledException)
        {
            line.Close(); // at once: what the predecessor still sends would be answered by nobody, and it takes silence for a connection that has moved
            throw;
        }
        catch (Exception e) when (e is not (HandoffException or RolledBackException))
        {
            // This is the serving instance: nonsense must not stop it. The predecessor sees the end of the line, and serves what it has.
            Log.PredecessorGarbled(logger, welcome.HandoffId, e);
        }
        finally
        {
            lineage.Remove(predecessor, hasRetired);
        }

        line.Close();
        if (hasRetired && lineage.LastRetired is { } last)
        {
            Log.PredecessorGone(logger, welcome.HandoffId, welcome.ProcessId, last.ConnectionsMigrated, last.ConnectionsDrained, last.ConnectionsAborted);
        }
    }
}
