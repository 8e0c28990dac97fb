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
    InstanceState state,
    ListenerTable listeners,
    ConnectionFactory connections,
    Retirement retirement,
    SignOfLife signOfLife,
    SuccessorHealth health,
    StartedAs startedAs,
    Deadlines deadlines,
    ILogger<Successor> logger,
    IReadiness? readiness = null)
{
    private static readonly string[] Capabilities =
        [ControlProtocol.Capabilities.Connections, ControlProtocol.Capabilities.Probation, ControlProtocol.Capabilities.Draining];

    private readonly TaskCompletionSource _mustLeave = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<bool> _isRolledBack = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _activation = new();
    private bool _isStopped; // before it served
    private LifeLine? _line;
    private Welcome? _welcome;
    private bool _hasAskedToLeave;
    private DescriptorHandle[] _streams = [];

    /// <summary>By its predecessor.</summary>
    public bool IsLaunched { get; set; }

    /// <summary>The priority to take at the commit; null if this instance started with its own.</summary>
    public string? Priority { get; set; }

    /// <summary>Before the server binds: introduces itself and takes the listeners that are offered.</summary>
    /// <exception cref="HandoffException">The predecessor refused, or does not answer.</exception>
    public async Task JoinAsync(ControlChannel channel, string? token, CancellationToken cancellationToken)
    {
        var hello = new Hello(ControlProtocol.Version, ControlProtocol.MinVersion, Environment.ProcessId)
        {
            Token = token,
            Build = token is null ? LaunchPlan.FindBuild(startedAs, new()) : null,
            Capabilities = token is null ? Capabilities : [.. Capabilities, ControlProtocol.Capabilities.StandardStreams],
        };
        await deadlines.RunAsync(HandoffStep.Exchange, "Sending Hello", send => channel.SendAsync(hello, send), cancellationToken);
        (_welcome, var received) = await deadlines.ExpectAsync<Welcome>(channel, HandoffStep.Exchange, cancellationToken);
        signOfLife.Chain = _welcome.Chain;
        _streams = [.. received.Descriptors];
        var count = 0;
        for (var last = false; !last;)
        {
            var (offer, descriptors) = await deadlines.ExpectAsync<Offer>(channel, HandoffStep.Exchange, cancellationToken);
            using (descriptors)
            {
                foreach (var (offered, descriptor) in offer.Listeners.Zip(descriptors.Descriptors))
                {
                    listeners.Offer([Adopt(offered, descriptor)]); // one by one: owned at once, whatever the next one is
                }
            }

            count += offer.Listeners.Count;
            last = offer.Last;
        }

        state.Generation = _welcome.Generation;
        state.IsConfirmed = false;
        listeners.OpensAtBind = false;
        state.Move(HandoffSignal.Offered);
        _line = new LifeLine(channel, _welcome.Capabilities, logger);
        Log.Joined(logger, _welcome.HandoffId, _welcome.ProcessId, _welcome.Generation, count);
    }

    /// <summary>After the app has started: says Ready and does what the predecessor says, until it has let go.</summary>
    /// <returns>The control socket, if one moved; <c>IsAlone</c>: the predecessor is gone and left no word.</returns>
    /// <exception cref="HandoffException">The predecessor called the handoff off: this instance must not serve.</exception>
    /// <exception cref="RolledBackException">It takes back what this instance serves.</exception>
    public async Task<(ControlSocket? Control, bool IsAlone)> StandByAsync(CancellationToken cancellationToken)
    {
        var isRolledBack = false;
        try
        {
            await health.WaitAsync(_line!, ThrowIfOff, cancellationToken);
            state.Move(HandoffSignal.AppReady);
            await _line!.AnswerAsync(new Ready([.. listeners.Listeners.Select(Describe)]), cancellationToken);
            return await ObeyAsync(cancellationToken);
        }
        catch (RolledBackException)
        {
            isRolledBack = true;
            throw;
        }
        catch
        {
            // What the predecessor does not hear it must see: it may have shut its gates already, and opens them at the end of the life-line.
            listeners.GiveBackPaths();
            _line!.Close();
            throw;
        }
        finally
        {
            _isRolledBack.TrySetResult(isRolledBack);
        }
    }

    /// <summary>The host stops while the predecessor can still take back what this instance serves: asks it to.</summary>
    /// <returns>True: it does so, and <see cref="StandByAsync"/> has said it; false: there is nothing to take back, or nobody to do it.</returns>
    /// <exception cref="HandoffException">It does not answer.</exception>
    public async Task<bool> AskToBeRolledBackAsync(CancellationToken cancellationToken)
    {
        lock (_activation)
        {
            if (state is not { IsConfirmed: false, Current.Phase: HandoffPhase.Serving })
            {
                _isStopped = true; // whatever the predecessor says now: who is accepted while the server stops gets no answer
                return false;
            }
        }

        _mustLeave.TrySetResult();
        return await deadlines.RunAsync(HandoffStep.Exchange, "The peer's RollBack", token => _isRolledBack.Task.WaitAsync(token), cancellationToken);
    }

    /// <summary>Returns when the predecessor has exited.</summary>
    /// <exception cref="HandoffException">It did not get our Confirmed in time, and serves on.</exception>
    /// <exception cref="RolledBackException">The same, and it takes back what this instance serves.</exception>
    public Task WaitForRetirementAsync(CancellationToken cancellationToken) => retirement.WaitAsync(_line!, _welcome!, ThrowIfOff, cancellationToken);

    /// <summary>The predecessor is gone before it had said anything about it: what it left is this instance's.</summary>
    public void Inherit()
    {
        Settle(isAlone: true);
        listeners.TakePaths();
    }

    /// <summary>This instance is here to stay: it loses the marks of its start, and closes what it has no use for.</summary>
    /// <param name="isAlone">Nobody else could serve.</param>
    private void Settle(bool isAlone)
    {
        try
        {
            StartupPriority.Restore(Priority);
            if (_streams is [var output, var error])
            {
                StandardStreams.Replace(output, error);
            }
        }
        catch (Exception e) when (isAlone && e is IOException or SocketException)
        {
            Log.NotSettled(logger, e); // EMFILE: both look into /proc
        }
        finally
        {
            Array.ForEach(_streams, stream => stream.Dispose());
        }

        // Out of the predecessor's session: a terminal that closes with it must not end this instance.
        // It fails only where this instance leads a group already, and then it has nothing to leave.
        // One that was not launched by a predecessor is in the session of who started it, and means to end with that.
        if (IsLaunched)
        {
            _ = Libc.NewSession();
        }

        listeners.CloseUnclaimed();
    }

    private async Task<(ControlSocket? Control, bool IsAlone)> ObeyAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            using var received = await NextAsync(cancellationToken);
            ThrowIfOff(received?.Message);
            switch (received?.Message)
            {
                case Probe probe:
                    Bring(probe, received.Descriptors[0].TakeSocketHandle());
                    break;
                case Commit:
                    // The first collection of a process takes ten times as long as the next ones: now, while no client waits for this one.
                    GC.Collect(0);
                    Activate(isAlone: false);
                    await _line!.AnswerAsync(new Accepting(), cancellationToken);
                    break;
                case Check check:
                    await _line!.AnswerAsync(await health.ExamineAsync(check, cancellationToken), cancellationToken);
                    break;
                case Confirm when _mustLeave.Task.IsCompleted:
                    break; // it had not heard that when it said so; now it takes everything back
                case Confirm confirm:
                    var socket = confirm.ControlPath is { } path ? ControlSocket.Adopt(path, received.Descriptors[0].TakeSocketHandle()) : null;
                    listeners.TakePaths();
                    await _line!.AnswerAsync(new Confirmed(), cancellationToken);
                    return (socket, false);
                case null:
                    // A predecessor that gives up says Abort. One that is just gone has died, and the listeners live on here; but not if it still answers others.
                    await signOfLife.EnsureGoneAsync(cancellationToken);
                    Activate(isAlone: true);
                    listeners.TakePaths();
                    _line!.Close();
                    return (null, true);
                default:
                    throw new ControlException(
                        ControlProtocol.Reasons.UnexpectedMessage, $"{received.Message.GetType().Name} is nothing a predecessor says now.");
            }
        }
    }

    /// <summary>The next word; before it, once, the wish to leave.</summary>
    private async Task<ControlChannel.Received?> NextAsync(CancellationToken cancellationToken)
    {
        if (!_hasAskedToLeave && await Task.WhenAny(_line!.Word, _mustLeave.Task).WaitAsync(cancellationToken) != _line.Word)
        {
            _hasAskedToLeave = true;
            await _line.AnswerAsync(new Abort("This instance is being stopped."), cancellationToken);
        }

        return await _line!.NextAsync(cancellationToken);
    }

    /// <summary>From here this instance serves.</summary>
    /// <exception cref="OperationCanceledException">It is being stopped: the predecessor sees the end of the line, and accepts again.</exception>
    private void Activate(bool isAlone)
    {
        lock (_activation)
        {
            if (state.Current.Phase != HandoffPhase.Standby)
            {
                return; // it serves already: the predecessor died between Commit and Confirm
            }

            if (_isStopped)
            {
                throw new OperationCanceledException("This instance is being stopped.");
            }

            Settle(isAlone);
            listeners.OpenGates();
            state.Move(HandoffSignal.Committed);
        }
    }

    private void ThrowIfOff(ControlMessage? message)
    {
        if (message is RollBack rollBack)
        {
            throw new RolledBackException(_line!, rollBack);
        }

        if (message is Abort or Refuse)
        {
            listeners.GiveBackPaths();
            var detail = message is Abort abort ? abort.Detail : ((Refuse)message).Detail;
            throw new HandoffException(HandoffFailure.Refused, $"The predecessor called the handoff off: {detail}");
        }
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
        listeners.Bring(connections.Create(socket, listener.EndPoint, remote, listenerName: listener.Name));
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
