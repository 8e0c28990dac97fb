namespace KestrelHandoff.Transport.Connections;

// How a handler that speaks a protocol of its own gives its connection away, with what the next one is to know.
internal sealed partial class HandoffConnection : IConnectionHandoffFeature
{
    /// <summary>The longest state, in bytes: many connections share one message.</summary>
    internal const int MaxStateLength = 64 * 1024;

    private Belongings? _belongings;

    /// <summary>What is spoken here now, if not requests.</summary>
    private IMessages? Messages => _belongings?.Messages;

    CancellationToken IConnectionHandoffFeature.HandoffRequested
    {
        get
        {
            CancellationTokenSource requested;
            bool isLate;
            lock (_readSignal)
            {
                requested = (_belongings ??= new()).Requested ??= new();
                isLate = _isWanted && !IsBound;
            }

            if (isLate)
            {
                _ = RequestAsync(requested);
            }

            return requested.Token;
        }
    }

    ReadOnlyMemory<byte>? IConnectionHandoffFeature.State => _belongings?.State;

    bool IConnectionHandoffFeature.TryHandOff(ReadOnlyMemory<byte> state)
    {
        if (state.Length > MaxStateLength)
        {
            throw new ArgumentException($"The state has {state.Length} bytes; up to {MaxStateLength} go along with a connection.", nameof(state));
        }

        bool isHeldNow;
        lock (_readSignal)
        {
            isHeldNow = !_isHeld;
            if (isHeldNow)
            {
                // Who speaks in messages may have read one, and the app not have had all of it, unless it waits for the next.
                if (!_isWanted || !CanHoldNeedsLock() || (Messages is { } messages ? !IsAtRest || !messages.TryHold() : _isHttp))
                {
                    return false;
                }

                HoldNeedsLock();
            }
            else if (_phase != Phase.Stopped || (Messages is null && _isHttp))
            {
                return false; // it has gone, or waits for a request and has no handler
            }

            (_belongings ??= new()).Left = state.ToArray();
        }

        if (isHeldNow)
        {
            LetServerEnd();
        }

        return true;
    }

    /// <summary>From here on the connection speaks in messages, and moves between two of them; null: in requests and answers again.</summary>
    public void Speak(IMessages? messages)
    {
        lock (_readSignal)
        {
            (_belongings ??= new()).Messages = messages;
            _hasSaidGoodbye = false; // what was said in the one way is to be said again in the other
        }
    }

    /// <summary>A message has ended: if the connection is wanted, and the server waits for the next, this is the moment.</summary>
    public void EndMessage()
    {
        if (!_isWanted)
        {
            return;
        }

        lock (_readSignal)
        {
            if (!_isWanted || _isHeld || !IsAtRest || !TryHoldNeedsLock())
            {
                return;
            }
        }

        LetServerEnd();
    }

    /// <summary>Sends what was written up to now, and from here on nothing: the server would say that it ends.</summary>
    /// <remarks>While the connection is held, and nobody writes.</remarks>
    public Task CutOutputAsync()
    {
        var cut = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_readSignal)
        {
            (_belongings ??= new()).Cut = cut;
        }

        _output.CancelPendingRead();
        return Task.WhenAny(cut.Task, _sending);
    }

    private async Task RequestAsync(CancellationTokenSource requested)
    {
        try
        {
            await requested.CancelAsync();
        }
        catch (AggregateException e)
        {
            ConnectionLog.Unexpected(_lane.Logger, ConnectionId, nameof(IConnectionHandoffFeature.HandoffRequested), e);
        }
    }

    /// <summary>What few connections have, or those of a handoff: apart, so that the many are no larger for it.</summary>
    private sealed class Belongings
    {
        public Func<HandoffConnection, ValueTask>? Disposing;
        public IMessages? Messages;
        public CancellationTokenSource? Requested;
        public ReadOnlyMemory<byte>? State;
        public byte[]? Left;

        /// <summary>Set before the send loop is woken, which completes it.</summary>
        public TaskCompletionSource? Cut;
        public TaskCompletionSource<ReleasedConnection?>? Release;
    }
}
