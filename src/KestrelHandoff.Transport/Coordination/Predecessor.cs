using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Launch;
using KestrelHandoff.Transport.Listeners;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The giving side, from the successor's Hello to the drain, in the order it happens.</summary>
internal sealed class Predecessor(
    InstanceState state,
    ListenerTable listeners,
    ControlServer control,
    Deadlines deadlines,
    ProbationWatch probation,
    TimeProvider time,
    ISuccessorProbe? probe = null)
{
    /// <summary>A process that dies closes its descriptors one after the other: the life-line may end a moment after a connection of the probe's.</summary>
    private static readonly TimeSpan LastWord = TimeSpan.FromMilliseconds(250);

    /// <summary>Hands over. When it returns the successor serves and this instance's gates are shut.</summary>
    /// <returns>The names of the listeners that the successor has.</returns>
    /// <exception cref="Exception">The successor did not get as far; it must go, and this instance accept again.</exception>
    public async Task<IReadOnlySet<string>> GiveAsync(Handoff handoff, Greeting greeting, CancellationToken cancellationToken)
    {
        var (channel, hello) = greeting;
        handoff.Update(report => report with { Successor = new(hello.ProcessId, state.Generation + 1) });

        await WelcomeAsync(handoff, channel, hello, cancellationToken);
        var offered = listeners.BeginOffer();
        await OfferAsync(channel, offered, cancellationToken);
        handoff.IsOffered = true;

        var (ready, _) = await deadlines.ExpectAsync<Ready>(channel, HandoffStep.Ready, cancellationToken);
        CheckClaims(offered, ready);
        handoff.Update(report => report with { Listeners = Fates(offered, ready) });
        state.Move(HandoffSignal.SuccessorReady);

        var word = channel.ReceiveAsync(CancellationToken.None); // heard at once: a successor that dies while it is probed says more than the probe
        try
        {
            if (probe is not null)
            {
                var target = new ProbeTarget(ready.Listeners, handoff.PreferredListener, (name, token) => DialAsync(channel, name, token));
                var result = await ProbeAsync(probe, target, word, cancellationToken);
                handoff.Update(report => report with { Probe = result });
            }

            // From here a stop of this host calls nothing off: the successor may have clients as soon as it has heard.
            cancellationToken.ThrowIfCancellationRequested();
            state.Move(HandoffSignal.ProbePassed);
            await deadlines.RunAsync(HandoffStep.Exchange, "Sending Commit", token => channel.SendAsync(new Commit(), token), CancellationToken.None);
            await deadlines.ExpectAsync<Accepting>(word.WaitAsync, HandoffStep.Commit, CancellationToken.None);
        }
        catch
        {
            ControlChannel.Received.Ignore(word);
            throw;
        }

        state.Move(HandoffSignal.SuccessorAccepts);

        // Both accept for a moment: nobody is refused. What this instance has accepted by now it keeps.
        var claimed = Claimed(ready);
        await listeners.ShutGatesAsync(claimed);
        await probation.WatchAsync(handoff, greeting, cancellationToken);
        state.Move(HandoffSignal.ProbationPassed);
        await ConfirmAsync(channel, CancellationToken.None);
        return claimed;
    }

    /// <summary>The way for live connections, after the confirmation.</summary>
    public MigrationLine FindWayToMigrate(ControlChannel channel) => new(
        (migrate, descriptors, stop) => deadlines.RunAsync(
            HandoffStep.Exchange, "Sending Migrate", token => channel.SendAsync(migrate, descriptors, token), stop),
        async stop => (await deadlines.ExpectAsync<Migrated>(channel, HandoffStep.Exchange, stop)).Message);

    /// <summary>The way to tell a successor of the drain; null if it does not understand.</summary>
    public static TellAsync? FindWayToTell(Greeting successor) => successor.Hello.Capabilities.Contains(ControlProtocol.Capabilities.Draining)
        ? successor.Channel.SendAsync
        : null;

    /// <summary>After the confirmation: closes this instance's listeners.</summary>
    public Task ReleaseAsync(IReadOnlySet<string> claimed) => listeners.ReleaseAsync(claimed);

    /// <summary>Accepts again, if it had stopped.</summary>
    public void TakeBack() => listeners.OpenGates();

    /// <summary>Where this host stops and the successor goes on with its listeners: their paths stay when they are closed here.</summary>
    public void LeavePaths() => listeners.LeavePaths();

    /// <summary>After a failure, when the successor has been told to go.</summary>
    public void EndOffer() => listeners.EndOffer();

    private async Task WelcomeAsync(Handoff handoff, ControlChannel channel, Hello hello, CancellationToken cancellationToken)
    {
        // A launched successor writes to pipes of ours until it serves; then it goes on where this instance's output goes.
        var streams = handoff.Process is not null && hello.Capabilities.Contains(ControlProtocol.Capabilities.StandardStreams)
            ? StandardStreams.Open()
            : [];
        var welcome = new Welcome(Math.Min(hello.Version, ControlProtocol.Version), Environment.ProcessId, state.Generation + 1, handoff.Id, streams.Length > 0)
        {
            Chain = control.Chain,
            Capabilities = [.. hello.Capabilities.Where(name =>
                name is ControlProtocol.Capabilities.Connections or ControlProtocol.Capabilities.Probation or ControlProtocol.Capabilities.Draining
                || (name == ControlProtocol.Capabilities.StandardStreams && streams.Length > 0))],
        };
        await deadlines.RunAsync(
            HandoffStep.Exchange, "Sending Welcome", token => channel.SendAsync(welcome, streams, token), cancellationToken);
    }

    private async Task OfferAsync(ControlChannel channel, IReadOnlyList<HandoffListener> offered, CancellationToken cancellationToken)
    {
        var batches = offered.Chunk(Libc.MaxDescriptors).DefaultIfEmpty([]).ToArray();
        for (var i = 0; i < batches.Length; i++)
        {
            var batch = batches[i];
            var offer = new Offer(
                [.. batch.Select(listener => new OfferedListener(listener.Name, Text(listener.EndPoint), listener.Descriptor.OwnedPath is not null))],
                Last: i == batches.Length - 1);
            SafeHandle[] descriptors = [.. batch.Select(listener => listener.Descriptor)];
            await deadlines.RunAsync(
                HandoffStep.Exchange, "Sending Offer", token => channel.SendAsync(offer, descriptors, token), cancellationToken);
        }
    }

    private async Task<HandoffProbe?> ProbeAsync(
        ISuccessorProbe probe, ProbeTarget target, Task<ControlChannel.Received?> word, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var probing = probe.ProbeAsync(target, stop.Token);
        await Task.WhenAny(probing, word);
        if (!probing.IsCompletedSuccessfully)
        {
            await Task.WhenAny(word, Task.Delay(LastWord, time, cancellationToken));
        }

        if (word.IsCompleted)
        {
            await stop.CancelAsync();
            await ((Task)probing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await deadlines.ExpectAsync<Accepting>(word.WaitAsync, HandoffStep.Exchange, CancellationToken.None); // throws what any other word means
            throw new ControlException(ControlProtocol.Reasons.UnexpectedMessage, "Accepting came, and nothing was committed.");
        }

        return await probing;
    }

    private async Task<Stream> DialAsync(ControlChannel channel, string listener, CancellationToken cancellationToken)
    {
        var (ours, theirs) = Libc.SocketPair();
        var socket = new Socket(ours);
        try
        {
            using (theirs)
            {
                await deadlines.RunAsync(
                    HandoffStep.Exchange, "Sending Probe", token => channel.SendAsync(new Probe(listener), [theirs], token), cancellationToken);
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task ConfirmAsync(ControlChannel channel, CancellationToken cancellationToken)
    {
        // Who connects in between waits in the backlog, which moves with the listener.
        var socket = await control.StopAsync();
        try
        {
            SafeHandle[] moving = socket is null ? [] : [socket.Listener];
            await deadlines.RunAsync(
                HandoffStep.Exchange, "Sending Confirm", token => channel.SendAsync(new Confirm { ControlPath = socket?.Path }, moving, token), cancellationToken);
            await deadlines.ExpectAsync<Confirmed>(channel, HandoffStep.Exchange, cancellationToken);
            socket?.Release();
        }
        catch
        {
            control.Resume(socket);
            throw;
        }
    }

    /// <summary>A successor that took nothing serves nobody: the wrong program, or the right one started to do something else.</summary>
    private static void CheckClaims(IReadOnlyList<HandoffListener> offered, Ready ready)
    {
        var claimed = Claimed(ready);
        if (claimed.FirstOrDefault(name => !offered.Any(listener => listener.Name == name)) is { } unknown)
        {
            throw new ControlException(ControlProtocol.Reasons.Malformed, $"The successor says it adopted '{unknown}', which was not offered.");
        }

        if (offered.Count > 0 && claimed.Count == 0)
        {
            throw new HandoffException(
                HandoffFailure.Refused,
                $"The successor is ready, but has none of the listeners offered: {string.Join(", ", offered.Select(listener => listener.Name))}. "
                + "It must bind at least one of these endpoints; to move to other ones altogether, stop and start.");
        }
    }

    private static List<HandoffListenerReport> Fates(IReadOnlyList<HandoffListener> offered, Ready ready)
    {
        var claimed = Claimed(ready);
        return
        [
            .. ready.Listeners.Select(listener => new HandoffListenerReport(listener.Name, listener.Address, listener.AdoptedFrom is null ? ListenerFate.New : ListenerFate.Adopted)),
            .. offered.Where(listener => !claimed.Contains(listener.Name))
                .Select(listener => new HandoffListenerReport(listener.Name, Text(listener.EndPoint), ListenerFate.Closed)),
        ];
    }

    private static HashSet<string> Claimed(Ready ready) => [.. ready.Listeners.Select(listener => listener.AdoptedFrom).OfType<string>()];

    private static string Text(EndPoint endPoint) => endPoint.ToString() ?? "";
}
