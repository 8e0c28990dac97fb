using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>Whether a successor may serve, in the eyes of its app: before it says Ready, and when it is asked on probation.</summary>
internal sealed class SuccessorHealth(ConnectionRegistry registry, Deadlines deadlines, IReadiness? readiness = null)
{
    /// <summary>Waits for the health checks, but not longer than the predecessor waits for them.</summary>
    /// <param name="line">To the predecessor.</param>
    /// <param name="throwIfOff">Takes words that call the handoff off.</param>
    /// <param name="cancellationToken">The host stops.</param>
    public async Task WaitAsync(LifeLine line, Action<ControlMessage> throwIfOff, CancellationToken cancellationToken)
    {
        if (readiness is null)
        {
            return;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var ready = readiness.WaitAsync(stop.Token);
        if (await Task.WhenAny(ready, line.Word).WaitAsync(cancellationToken) != ready)
        {
            var word = await line.Word;
            if (word is { Message: Abort or Refuse } off)
            {
                await stop.CancelAsync();
                throwIfOff(off.Message); // at once: a check that heeds no token would keep this instance, and with it the listeners
            }
            else if (word is null)
            {
                // Nobody is left to lose patience, and clients queue at the listeners that are here now.
                await deadlines.RunAsync(HandoffStep.Ready, "The health of this instance, whose predecessor is gone,", token => ready.WaitAsync(token), cancellationToken);
            }
        }

        await ready.WaitAsync(cancellationToken);
    }

    /// <summary>The answer to Check.</summary>
    public async Task<Checked> ExamineAsync(Check check, CancellationToken cancellationToken)
    {
        if (readiness is null)
        {
            return new(registry.Count);
        }

        // A predecessor that gets no answer in time takes this instance for dead, and kills it with its clients.
        var fault = FindFaultAsync(readiness, cancellationToken);
        return await Task.WhenAny(fault, deadlines.HalfOfExchange(check.WithinMs, cancellationToken)) == fault
            ? new(registry.Count) { Fault = await fault is { } words ? ControlProtocol.Shorten(words) : null }
            : new(registry.Count) { Fault = "its health checks take longer than half of SocketHandoff:ExchangeTimeout, the shorter one of the two instances." };
    }

    private static async Task<string?> FindFaultAsync(IReadiness readiness, CancellationToken cancellationToken)
    {
        try
        {
            return await readiness.FindFaultAsync(cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return $"its health checks cannot be asked: {e.Message}"; // the constructor of one that throws, such as for want of a database
        }
    }
}
