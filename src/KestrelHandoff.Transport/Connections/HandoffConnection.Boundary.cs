namespace KestrelHandoff.Transport.Connections;

// Where a connection can change hands: between two exchanges (for HTTP/1.1 a request with its response), when the server waits for
// the next and has seen every byte there is. A connection that is wanted is held there: nothing reaches the server any more, it is
// told to end, ends without a word, and DisposeAsync gives the socket away. All flags are under the lock of the phase, except that the
// server's own sequence of read, exchange, read needs none for what only it changes.
internal sealed partial class HandoffConnection
{
    private bool _isParked; // a read is pending, and nothing was flushed since it began
    private bool _isInExchange;
    private bool _isHttp; // there was an exchange
    private bool _isFixed; // whose end nobody sees
    private bool _isServed; // the server's HTTP layer has begun, or a handler has asked for what that asks for
    private bool _isRead; // something was consumed before that
    private byte _itemsOfMiddleware; // which its like in the successor makes again
    private bool _isBetween; // no byte of the next exchange was seen
    private volatile bool _isUntouched; // the server has seen nothing of what was received, and nothing was sent
    private volatile bool _isWanted;
    private volatile bool _isHeld;
    private bool _isAwaited; // it was counted among those that come

    /// <summary>The connection waits to be taken: the server ends, and <see cref="ReleaseAsync"/> follows.</summary>
    public bool IsHeld => _isHeld;

    /// <summary>It is new, and no other instance has served it.</summary>
    public bool IsUntouched
    {
        init => _isUntouched = value;
    }

    /// <summary>The server begins an exchange. From here to its end the connection stays: for good, where exchanges overlap and none of them ends it.</summary>
    /// <param name="hasEnd"><see cref="EndExchange"/> will follow.</param>
    public void BeginExchange(bool hasEnd = true)
    {
        if (_isFixed && !hasEnd)
        {
            return; // as of the first
        }

        _isInExchange = _isHttp = true;
        _isFixed = !hasEnd;
        if (hasEnd && Origin is { HasExchanges: false } origin)
        {
            origin.HasExchanges = true;
        }
    }

    /// <summary>The exchange is over but for what is still to be written; the next read of the server is for the next one.</summary>
    /// <param name="isWhole">All of its input was read. Otherwise the server reads on, and the connection cannot be taken before the next exchange ends.</param>
    public void EndExchange(bool isWhole)
    {
        _isBetween = isWhole;
        _isInExchange = false;
        if (_belongings is { } belongings)
        {
            belongings.State = null; // it was left to this exchange, and to no later one
        }
    }

    /// <summary>The connection was served before: by a predecessor, or by this instance.</summary>
    public void Continue(ReadOnlyMemory<byte>? state, bool isBetween)
    {
        _isBetween = _isHttp = isBetween;
        if (state is not null)
        {
            (_belongings ??= new()).State = state;
        }
    }

    /// <summary>Takes the connection as soon as it is between two exchanges: now, or when the server reads for the next.</summary>
    /// <param name="take">Called by DisposeAsync; see <see cref="Disposing"/>.</param>
    /// <param name="isAwaited">It is held now, or will be with the server's next read, which waits for no client. True once: who counts it is called for each.</param>
    /// <returns>True if it is held now.</returns>
    public bool Want(Func<HandoffConnection, ValueTask> take, out bool isAwaited)
    {
        CancellationTokenSource? requested;
        bool isHeld;
        lock (_readSignal)
        {
            Disposing ??= take;
            _isWanted = true;
            isHeld = IsAtRest && TryHoldNeedsLock();
            isAwaited = (isHeld || WillBeHeldNeedsLock) && AwaitNeedsLock();
            requested = IsBound ? null : _belongings?.Requested;
        }

        if (requested is not null)
        {
            _ = RequestAsync(requested); // first: who is ended finds it requested
        }

        if (isHeld)
        {
            LetServerEnd();
        }

        return isHeld;
    }

    /// <summary>Whether to wait for it, though its server is busy: it is wanted, and comes with the end of a request. True once, as of <see cref="Want"/>.</summary>
    public bool Await()
    {
        lock (_readSignal)
        {
            return (_isHeld || (_isWanted && !_disposed && _isHttp && Messages is null && CanMove)) && AwaitNeedsLock();
        }
    }

    /// <summary>Its server has got done, and it is being taken: whether it is to be counted now. True once, as of <see cref="Want"/>.</summary>
    public bool AwaitTaking()
    {
        lock (_readSignal)
        {
            return AwaitNeedsLock();
        }
    }

    /// <summary>Nobody takes it any more: unless it is held by now it stays, and its server goes on.</summary>
    /// <returns>True if it was awaited, and is not any more.</returns>
    public bool Unwant()
    {
        lock (_readSignal)
        {
            if (_isHeld)
            {
                return false;
            }

            _isWanted = false;
            var wasAwaited = _isAwaited && !_disposed; // else it is about to be taken, and counted off there
            _isAwaited &= !wasAwaited;
            return wasAwaited;
        }
    }

    /// <summary>Threads on both sides of the connection come by here all the time: a field that is only read stays in the caches of both.</summary>
    internal void Touch()
    {
        if (_isUntouched)
        {
            _isUntouched = false;
        }
    }

    private bool AwaitNeedsLock()
    {
        var isFirst = !_isAwaited;
        _isAwaited = true;
        return isFirst;
    }

    private bool TryHoldNeedsLock()
    {
        if (!CanHoldNeedsLock() || !(Messages is { } messages ? messages.TryHold() : IsBetweenExchanges))
        {
            return false;
        }

        HoldNeedsLock();
        return true;
    }

    /// <summary>Also before the first, where it is known that there will be exchanges: a server that speaks first, as of HTTP/2, has sent something.</summary>
    private bool IsBetweenExchanges => !_isInExchange && (_isBetween || (_isUntouched && Origin is { HasExchanges: true }));

    /// <summary>Nobody works on what was received.</summary>
    private bool IsAtRest => _isParked || Messages is { IsOneWay: true };

    /// <summary>The server has not come to the read that finds it wanted. On a connection that is new it may not have begun at all, and a host that stops ends such ones unheard.</summary>
    private bool WillBeHeldNeedsLock => Messages is null && !_isParked && !_ownTransport.IsReading && IsBetweenExchanges && CanHoldNeedsLock();

    private bool CanHoldNeedsLock() => _phase == Phase.Live && !_disposed && !IsBound && !_peerEnded && !IsReplayRefused;

    private void HoldNeedsLock()
    {
        _isHeld = true;
        _phase = Phase.Stopped;
    }

    private void LetServerEnd()
    {
        _readSignal.Give();
        _input.CancelPendingFlush();
        Messages?.OnHeld();
        if (Messages is { IsOneWay: false })
        {
            _ownTransport.Inner.CancelPendingRead();
            return;
        }

        // Kestrel reads no further head after this, and ends the connection without a word where it waits for one
        // (Http1Connection.TryParseRequest: nothing of a request seen and no keep-alive).
        RequestClose();
        if ((_isUntouched || (_isHttp && !_isServed)) && !IsReadMadeUp && !_ownTransport.IsReadCanceled)
        {
            _ownTransport.Inner.CancelPendingRead(); // of middleware that looks at a connection first, and has not heard of the close
        }
    }
}
