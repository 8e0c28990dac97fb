using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Launch;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The taking side, from the Hello to the last word of the predecessor, in the order it happens.</summary>
internal sealed class Successor(
    InstanceState state, ListenerTable listeners, ConnectionFactory connections, Deadlines deadlines, ILogger<Successor> logger, IReadiness? readiness = null)
{
    private ControlChannel? _channel;
    private Welcome? _welcome;
    private DescriptorHandle[] _streams = [];

    /// <summary>The priority to take at the commit; null if this instance started with its own.</summary>
    public string? Priority { get; set; }

    /// <summary>Before the server binds: introduces itself and takes the listeners that are offered.</summary>
    /// <exception cref="HandoffException">The predecessor refused, or does not answer.</exception>
    public async Task JoinAsync(ControlChannel channel, string? token, CancellationToken cancellationToken)
    {
        _channel = channel;
        var hello = new Hello(ControlProtocol.Version, ControlProtocol.MinVersion, Environment.ProcessId)
        {
            Token = token,
            Capabilities = token is null ? [] : [ControlProtocol.Capabilities.StandardStreams],
        };
        await deadlines.RunAsync(HandoffStep.Exchange, "Sending Hello", send => channel.SendAsync(hello, send), cancellationToken);
        (_welcome, var received) = await deadlines.ExpectAsync<Welcome>(channel, HandoffStep.Exchange, cancellationToken);
        _streams = [.. received.Descriptors];
        var count = 0;
        for (var last = false; !last;)
        {
            var (offer, descriptors) = await deadlines.ExpectAsync<Offer>(channel, HandoffStep.Exchange, cancellationToken);
            using (descriptors)
            {
                listeners.Offer(offer.Listeners.Zip(descriptors.Descriptors, Adopt).ToList());
            }

            count += offer.Listeners.Count;
            last = offer.Last;
        }

        state.Generation = _welcome.Generation;
        listeners.OpensAtBind = false;
        state.Move(HandoffSignal.Offered);
        Log.Joined(logger, _welcome.HandoffId, _welcome.ProcessId, _welcome.Generation, count);
    }

    /// <summary>After the app has started: says Ready and does what the predecessor says, until it has let go.</summary>
    /// <returns>The control socket, if one moved; <c>IsAlone</c>: the predecessor is gone and left no word.</returns>
    /// <exception cref="HandoffException">The predecessor called the handoff off: this instance must not serve.</exception>
    public async Task<(ControlSocket? Control, bool IsAlone)> StandByAsync(CancellationToken cancellationToken)
    {
        if (readiness is not null)
        {
            await readiness.WaitAsync(cancellationToken);
        }

        try
        {
            state.Move(HandoffSignal.AppReady);
            await _channel!.SendAsync(new Ready([.. listeners.Listeners.Select(Describe)]), cancellationToken);
            return await ObeyAsync(_channel, cancellationToken);
        }
        catch (Exception e) when (PeerGone.Is(e))
        {
            Activate();
            return (null, true);
        }
    }

    /// <summary>Returns when the predecessor has exited.</summary>
    public async Task WaitForRetirementAsync(CancellationToken cancellationToken)
    {
        while (await _channel!.ReceiveAsync(cancellationToken) is { } word)
        {
            word.Dispose();
        }

        Log.PredecessorGone(logger, _welcome!.HandoffId, _welcome.ProcessId);
        _channel.Dispose();
    }

    private async Task<(ControlSocket? Control, bool IsAlone)> ObeyAsync(ControlChannel channel, CancellationToken cancellationToken)
    {
        while (true)
        {
            using var received = await channel.ReceiveAsync(cancellationToken);
            switch (received?.Message)
            {
                case Probe probe:
                    Bring(probe, received.Descriptors[0].TakeSocketHandle());
                    break;
                case Commit:
                    Activate();
                    await channel.SendAsync(new Accepting(), cancellationToken);
                    break;
                case Confirm confirm:
                    var socket = confirm.ControlPath is { } path ? ControlSocket.Adopt(path, received.Descriptors[0].TakeSocketHandle()) : null;
                    await channel.SendAsync(new Confirmed(), cancellationToken);
                    return (socket, false);
                case Abort abort:
                    throw new HandoffException(HandoffFailure.Refused, $"The predecessor called the handoff off: {abort.Detail}");
                case null:
                    // A predecessor that gives up says Abort. One that is just gone has died, and the listeners live on here.
                    Activate();
                    return (null, true);
                default:
                    throw new ControlException(
                        ControlProtocol.Reasons.UnexpectedMessage, $"{received.Message.GetType().Name} is nothing a predecessor says now.");
            }
        }
    }

    /// <summary>From here this instance serves.</summary>
    private void Activate()
    {
        if (state.Current.Phase == HandoffPhase.Serving)
        {
            return; // it serves already: the predecessor died between Commit and Confirm
        }

        // Before the app hears that it serves: what it says to that must not go to a pipe whose reader exits, or has died.
        if (_streams is [var output, var error])
        {
            StandardStreams.Replace(output, error);
            output.Dispose();
            error.Dispose();
        }

        state.Move(HandoffSignal.Committed);
        StartupPriority.Restore(Priority);
        listeners.CloseUnclaimed();
        listeners.TakePaths();
        listeners.OpenGates();

        // Out of the predecessor's session: a terminal that closes with it must not end this instance.
        // It fails only where this instance leads a group already, and then it has nothing to leave.
        _ = Libc.NewSession();
    }

    private void Bring(Probe probe, SafeSocketHandle handle)
    {
        var socket = new Socket(handle);
        if (listeners.Listeners.FirstOrDefault(candidate => candidate.Name == probe.Listener) is not { } listener)
        {
            socket.Dispose();
            throw new ControlException(ControlProtocol.Reasons.Malformed, $"There is no listener '{probe.Listener}'.");
        }

        // The app sees a client on the loopback rather than a nameless Unix socket, which few apps are made for.
        var remote = listener.EndPoint is IPEndPoint { AddressFamily: var family }
            ? new IPEndPoint(family == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback, 0)
            : listener.EndPoint;
        listener.Bring(connections.Create(socket, listener.EndPoint, remote, listenerName: listener.Name));
    }

    private ReadyListener Describe(HandoffListener listener) => new(listener.Name, listener.EndPoint.ToString() ?? "")
    {
        AdoptedFrom = listener.Descriptor.AdoptedFrom,
        Scheme = readiness?.SchemeOf(listener.EndPoint),
    };

    private static ListenerDescriptor Adopt(OfferedListener offered, DescriptorHandle descriptor)
    {
        using var handle = descriptor.TakeSocketHandle();
        return ListenerDescriptor.Adopt(offered.Name, handle, offered.OwnsPath);
    }
}
