using System.Net;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>
/// Two tables: the descriptors a predecessor offered and nobody claimed yet, and the listeners in use. Binding moves one from the
/// first to the second; what is left in the first when the app is ready is closed.
/// </summary>
internal sealed class ListenerTable(ILogger<ListenerTable> logger)
{
    private readonly Lock _sync = new();
    private readonly List<ListenerDescriptor> _offered = [];
    private readonly List<HandoffListener> _listeners = [];
    private TaskCompletionSource? _offer; // from the offer to the end of the handoff

    /// <summary>Whether listeners bound from now on accept at once. A successor's do not: its gates open at the commit.</summary>
    public bool OpensAtBind { get; set; } = true;

    /// <summary>This instance has handed over: what it bound now would be listened on, but never accepted from.</summary>
    public bool IsReleased { get; private set; }

    public IReadOnlyList<HandoffListener> Listeners
    {
        get
        {
            lock (_sync)
            {
                return [.. _listeners];
            }
        }
    }

    /// <summary>Gives the connection to the listener it came by, in front of those from the socket.</summary>
    /// <returns>False: there is no such listener any more; the connection is aborted.</returns>
    public bool Bring(HandoffConnection connection)
    {
        if (Listeners.FirstOrDefault(listener => listener.Name == connection.ListenerName)?.Bring(connection) == true)
        {
            return true;
        }

        connection.Abort();
        _ = connection.DisposeAsync().AsTask();
        return false;
    }

    public void Offer(IEnumerable<ListenerDescriptor> descriptors)
    {
        lock (_sync)
        {
            _offered.AddRange(descriptors);
        }
    }

    /// <summary>The name for one more listener of <paramref name="configured"/>.</summary>
    public string NextName(EndPoint configured)
    {
        lock (_sync)
        {
            for (var ordinal = 0; ; ordinal++)
            {
                var name = ListenerName.Of(configured, ordinal);
                if (!_listeners.Exists(listener => listener.Name == name))
                {
                    return name;
                }
            }
        }
    }

    /// <summary>Takes the offered descriptor of that name; failing that, one that is bound to the very address (port 0 before, that port now).</summary>
    public ListenerDescriptor? Claim(string name, EndPoint configured)
    {
        lock (_sync)
        {
            var claimed = _offered.Find(offered => offered.Name == name) ?? _offered.Find(offered => offered.LocalEndPoint.Equals(configured));
            if (claimed is not null)
            {
                _offered.Remove(claimed);
                claimed.Name = name;
            }

            return claimed;
        }
    }

    /// <summary>The listeners to offer. From here to <see cref="EndOffer"/> nothing is bound.</summary>
    public IReadOnlyList<HandoffListener> BeginOffer()
    {
        lock (_sync)
        {
            _offer = new(TaskCreationOptions.RunContinuationsAsynchronously);
            return [.. _listeners];
        }
    }

    /// <summary>The handoff is over: the successor has all there are, or has been told to go.</summary>
    public void EndOffer()
    {
        TaskCompletionSource? offer;
        lock (_sync)
        {
            (offer, _offer) = (_offer, null);
        }

        offer?.SetResult();
    }

    /// <summary>
    /// Binds, and while a handoff is under way waits for its end. An endpoint that a reloaded configuration adds then would be accepted by neither instance
    /// when it is done, and one that it changes could not be bound, since the successor has a copy.
    /// </summary>
    public async ValueTask<HandoffListener> BindAsync(Func<HandoffListener> bind, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task over;
            lock (_sync) // with the bind in it: an offer that begins meanwhile would miss it
            {
                if (_offer is null)
                {
                    return bind();
                }

                over = _offer.Task;
            }

            await over.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Adds the listener that <paramref name="make"/> makes, given whether its gate is open.</summary>
    public HandoffListener Add(Func<bool, HandoffListener> make)
    {
        lock (_sync) // both in one: gates that open in between would miss it
        {
            var listener = make(OpensAtBind);
            _listeners.Add(listener);
            return listener;
        }
    }

    public void Remove(HandoffListener listener)
    {
        lock (_sync)
        {
            _listeners.Remove(listener);
        }
    }

    /// <summary>Closes this instance's copies of what nobody claimed. A leftover would keep the port open with nobody accepting.</summary>
    public void CloseUnclaimed()
    {
        List<ListenerDescriptor> unclaimed;
        lock (_sync)
        {
            unclaimed = [.. _offered];
            _offered.Clear();
        }

        foreach (var descriptor in unclaimed)
        {
            Log.ListenerUnclaimed(logger, descriptor.Name, descriptor.LocalEndPoint);
            descriptor.Dispose();
        }
    }

    /// <summary>With the confirmation the paths of the adopted Unix listeners become this instance's to delete.</summary>
    public void TakePaths()
    {
        foreach (var descriptor in Listeners.Select(listener => listener.Descriptor).Where(descriptor => descriptor.InheritsPath))
        {
            descriptor.OwnedPath = descriptor.Path;
        }
    }

    /// <summary>The predecessor serves on after all: the paths are its own again.</summary>
    public void GiveBackPaths()
    {
        foreach (var descriptor in Listeners.Select(listener => listener.Descriptor).Where(descriptor => descriptor.InheritsPath))
        {
            descriptor.OwnedPath = null;
        }
    }

    /// <summary>Somebody else goes on with these listeners.</summary>
    public void LeavePaths()
    {
        foreach (var listener in Listeners)
        {
            listener.Descriptor.OwnedPath = null;
        }
    }

    public void OpenGates()
    {
        foreach (var listener in Switch(opensAtBind: true))
        {
            listener.OpenGate();
        }
    }

    /// <summary>Stops accepting where somebody else does; clients of the others would wait for nobody.</summary>
    public Task ShutGatesAsync(IReadOnlySet<string> claimed) =>
        Task.WhenAll(Switch(opensAtBind: false).Where(listener => claimed.Contains(listener.Name)).Select(listener => listener.ShutGateAsync()));

    /// <summary>After the handoff is confirmed: closes this instance's copies. The paths of <paramref name="claimed"/> are the successor's now; others go.</summary>
    public async Task ReleaseAsync(IReadOnlySet<string> claimed)
    {
        IsReleased = true;
        EndOffer();
        foreach (var listener in Listeners)
        {
            if (claimed.Contains(listener.Name))
            {
                listener.Descriptor.OwnedPath = null;
            }
            else
            {
                Log.ListenerClosed(logger, listener.Name, listener.EndPoint);
            }

            await listener.ReleaseAsync();
        }
    }

    private HandoffListener[] Switch(bool opensAtBind)
    {
        lock (_sync)
        {
            OpensAtBind = opensAtBind;
            return [.. _listeners];
        }
    }
}
