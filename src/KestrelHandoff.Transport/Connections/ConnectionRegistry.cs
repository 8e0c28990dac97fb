namespace KestrelHandoff.Transport.Connections;

/// <summary>The connections that live, of all listeners of this instance.</summary>
internal sealed class ConnectionRegistry
{
    private readonly Stripe[] _stripes;
    private int _nextStripe;
    private int _count;
    private int _drainTotal;
    private TaskCompletionSource? _empty;
    private volatile bool _isDraining;

    public ConnectionRegistry()
    {
        _stripes = new Stripe[Math.Min(Environment.ProcessorCount, 16)];
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new Stripe();
        }
    }

    /// <summary>Connections created and not yet disposed.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>
    /// While true, a connection that ends gracefully says FIN and then waits, within bounds, for the peer's: a close with
    /// unread data would be a reset, which can destroy a response the peer has not read yet (RFC 9112 9.6).
    /// </summary>
    public bool IsDraining
    {
        get => _isDraining;
        set
        {
            _isDraining = value;
            _drainTotal = Count;
        }
    }

    /// <summary>The connections there were when the drain began, and those that came since.</summary>
    public int DrainTotal => Volatile.Read(ref _drainTotal);

    /// <summary>Ends when no connection lives: at once if none does, else with the last one.</summary>
    public Task WhenEmpty()
    {
        var candidate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiter = Interlocked.CompareExchange(ref _empty, candidate, null) ?? candidate;

        // Looked at only now that the waiter can be seen: a last connection gone before it was there would tell nobody.
        if (Count == 0)
        {
            CompleteWaiter();
            waiter.TrySetResult();
        }

        return waiter.Task;
    }

    /// <summary>The connections that live now; those created meanwhile may be missing.</summary>
    public List<HandoffConnection> Snapshot()
    {
        var connections = new List<HandoffConnection>(Count);
        foreach (var stripe in _stripes)
        {
            stripe.CopyTo(connections);
        }

        return connections;
    }

    internal void Add(HandoffConnection connection)
    {
        var index = (byte)((uint)Interlocked.Increment(ref _nextStripe) % (uint)_stripes.Length);
        connection.Stripe = index;
        Interlocked.Increment(ref _count);
        if (_isDraining)
        {
            Interlocked.Increment(ref _drainTotal);
        }

        _stripes[index].Add(connection);
    }

    internal void Remove(HandoffConnection connection)
    {
        _stripes[connection.Stripe].Remove(connection);
        if (Interlocked.Decrement(ref _count) == 0)
        {
            CompleteWaiter();
        }
    }

    private void CompleteWaiter()
    {
        if (Volatile.Read(ref _empty) is not null)
        {
            Interlocked.Exchange(ref _empty, null)?.TrySetResult();
        }
    }

    /// <summary>The place of a connection in its stripe, kept in the connection: adding one allocates nothing.</summary>
    internal struct LinkPair
    {
        public HandoffConnection? Previous;
        public HandoffConnection? Next;
    }

    private sealed class Stripe
    {
        private readonly Lock _lock = new();
        private HandoffConnection? _first;

        public void Add(HandoffConnection connection)
        {
            lock (_lock)
            {
                connection.Links.Next = _first;
                if (_first is not null)
                {
                    _first.Links.Previous = connection;
                }

                _first = connection;
            }
        }

        public void Remove(HandoffConnection connection)
        {
            lock (_lock)
            {
                var (previous, next) = (connection.Links.Previous, connection.Links.Next);
                if (previous is null)
                {
                    _first = next;
                }
                else
                {
                    previous.Links.Next = next;
                }

                if (next is not null)
                {
                    next.Links.Previous = previous;
                }

                (connection.Links.Previous, connection.Links.Next) = (null, null);
            }
        }

        public void CopyTo(List<HandoffConnection> connections)
        {
            lock (_lock)
            {
                for (var connection = _first; connection is not null; connection = connection.Links.Next)
                {
                    connections.Add(connection);
                }
            }
        }
    }
}
