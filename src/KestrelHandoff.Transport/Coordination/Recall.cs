using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The giving side of a roll-back: takes back, from a successor that lives but must not serve, what it has accepted.</summary>
internal sealed class Recall(
    IOptions<SocketHandoffOptions> options, SuccessorLauncher launcher, Arrivals arrivals, Lineage lineage, Deadlines deadlines, TimeProvider time, ILogger<Recall> logger) : IDisposable
{
    // HostOptions.ShutdownTimeout by default: what the successor's host has after its drain for what is then in flight
    private static readonly TimeSpan HostShutdown = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stopping = new(); // cancelled when the host stops

    /// <summary>The host stops: what a successor still gave back would be closed. It sees the end of the line, and serves that itself.</summary>
    public void Stop() => _stopping.Cancel();

    public void Dispose() => _stopping.Dispose();

    /// <summary>Tells the successor to go, after this instance has begun to accept again, and counts what comes back at once; more follows until it has exited.</summary>
    /// <exception cref="Exception">It is gone, or does not do as it is told.</exception>
    public async Task BeginAsync(Handoff handoff, Greeting greeting, Exception reason)
    {
        var rollBack = new RollBack(ControlProtocol.Shorten(reason.Message)) { WithinMs = (int)options.Value.ExchangeTimeout.TotalMilliseconds };
        await deadlines.RunAsync(HandoffStep.Exchange, "Sending RollBack", token => greeting.Channel.SendAsync(rollBack, token), CancellationToken.None);
        var member = lineage.Add(greeting.Hello.ProcessId, handoff.Report.Predecessor.Generation + 1);
        try
        {
            var end = await deadlines.RunAsync(
                HandoffStep.Exchange,
                "The peer's RolledBack",
                async token =>
                {
                    while (true)
                    {
                        var (count, rolledBack) = await NextAsync(greeting.Channel, member, token);
                        handoff.Returned += count;
                        if (rolledBack is not null)
                        {
                            return rolledBack;
                        }
                    }
                },
                CancellationToken.None);

            _ = FinishAsync(handoff, greeting.Channel, member, DrainOf(end));
        }
        catch
        {
            lineage.Remove(member, hasRetired: false); // it is killed; one that was not launched here serves what it has
            throw;
        }
    }

    /// <summary>By its own settings, where it says so.</summary>
    private TimeSpan DrainOf(RolledBack successor) => successor.DrainMs is { } ms
        ? TimeSpan.FromMilliseconds(Math.Clamp(ms, 0, (long)SocketHandoffOptionsValidator.MaxDrainTimeout.TotalMilliseconds))
        : options.Value.DrainTimeout;

    /// <summary>Takes what else comes, while the successor drains.</summary>
    private async Task FinishAsync(Handoff handoff, ControlChannel channel, Lineage.Member member, TimeSpan drain)
    {
        var hasRetired = true;
        try
        {
            using var limit = new CancellationTokenSource(drain + HostShutdown + options.Value.ExchangeTimeout, time);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stopping.Token);
            while (true)
            {
                await NextAsync(channel, member, end.Token);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            hasRetired = false; // it goes by itself
        }
        catch (Exception e) when (PeerGone.Is(e))
        {
            // it has exited, or is about to
        }
        catch (Exception e)
        {
            Log.NotReturned(logger, handoff.Id, e);
        }
        finally
        {
            channel.Dispose();
            lineage.Remove(member, hasRetired);
        }

        if (!hasRetired)
        {
            return;
        }

        try
        {
            await launcher.EndProcessAsync(handoff, mayEndByItself: true);
        }
        catch (Exception e)
        {
            Log.NotRemoved(logger, handoff.Id, e);
        }
    }

    /// <summary>Takes the connections of the next message.</summary>
    /// <returns>How many; and the word that those that could come at once have come.</returns>
    private async Task<(int Count, RolledBack? End)> NextAsync(ControlChannel channel, Lineage.Member member, CancellationToken cancellationToken)
    {
        using var received = await channel.ReceiveAsync(cancellationToken)
            ?? throw new EndOfStreamException("The successor closed the control connection.");
        switch (received.Message)
        {
            case Migrate migrate:
                return (await arrivals.TakeAsync(migrate, received.Descriptors, isReturn: true, answer => channel.SendAsync(answer, cancellationToken)), null);
            case RolledBack rolledBack:
                return (0, rolledBack);
            case Draining draining:
                lineage.Update(member, draining.Instances);
                return (0, null);
            case Checked or Accepting or Confirmed or Abort:
                return (0, null); // said before it had heard
            default:
                throw new ControlException(
                    ControlProtocol.Reasons.UnexpectedMessage, $"{received.Message.GetType().Name} came where Migrate or RolledBack was expected.");
        }
    }
}
