using System.Buffers;
using System.IO.Pipelines;

namespace KestrelHandoff.Transport.Connections;

// What the server reads: what was received, and once the connection is held a result made up here, so that it ends. Neither a read nor what it waits for
// gets past a hold, which is why both take its lock.
internal sealed partial class HandoffConnection
{
    /// <summary>The server has a result that is not the pipe's.</summary>
    public bool IsReadMadeUp { get; private set; }

    /// <summary>TLS or the like lies over it, and came before it could be held: nothing of what is kept here is asked for any more. Once true it stays so.</summary>
    private bool IsNeverHeld => IsTransportReplaced && !_isHeld; // in this order: once it is replaced, whether it is held is settled

    /// <summary>A read of the server.</summary>
    internal ValueTask<ReadResult> ReadAsync(PipeReader input, CancellationToken cancellationToken)
    {
        if (IsNeverHeld)
        {
            return input.ReadAsync(cancellationToken);
        }

        lock (_readSignal)
        {
            if (_isHeld)
            {
                return Messages switch
                {
                    null => ReadAfterHoldAsync(input),
                    { IsOneWay: true } => CanceledRead(),
                    _ => NoRead(),
                };
            }

            if (!_isWanted || !TryHoldNeedsLock())
            {
                var read = input.ReadAsync(cancellationToken);
                _ownTransport.IsReading = true;
                _isParked = !read.IsCompleted;
                if (!_isParked)
                {
                    Touch();
                }

                return read;
            }
        }

        var made = Messages is null or { IsOneWay: true } ? CanceledRead() : NoRead();
        LetServerEnd();
        return made;
    }

    /// <summary>Whether what the server advances over came from the pipe.</summary>
    /// <param name="consumed">How far it came. A pipe's first byte has the index 0, and who only looks stays there.</param>
    internal bool IsOfInput(SequencePosition consumed)
    {
        if (IsReadMadeUp)
        {
            IsReadMadeUp = false;
            return false;
        }

        if (!_isServed && consumed.GetInteger() > 0)
        {
            _isRead = true;
        }

        if (_isBetween && !_isInExchange)
        {
            _isBetween = false; // these are bytes of the next exchange
        }

        return true;
    }

    /// <summary>Gives what was received to the server, unless the connection is held: then it goes along to who takes it.</summary>
    private bool TryFlush(out ValueTask<FlushResult> flush)
    {
        if (IsNeverHeld)
        {
            flush = _input.FlushAsync();
            return true;
        }

        lock (_readSignal)
        {
            var wasParked = _isParked;
            _isParked = false;
            if (_isHeld)
            {
                flush = default;
                return false;
            }

            if (wasParked)
            {
                Touch();
            }

            flush = _input.FlushAsync();
            return true;
        }
    }

    private ValueTask<ReadResult> CanceledRead()
    {
        IsReadMadeUp = true;
        return new(new ReadResult(ReadOnlySequence<byte>.Empty, isCanceled: true, isCompleted: false));
    }

    /// <summary>An error, since the server reads again after a read that was only cancelled (Http1UpgradeMessageBody.ReadAsyncInternalAwaited).</summary>
    private ValueTask<ReadResult> NoRead()
    {
        IsReadMadeUp = true;
        return ValueTask.FromException<ReadResult>(new OperationCanceledException("The connection goes on with the successor of this instance."));
    }

    /// <summary>It was no boundary: somebody reads on after the exchange. He gets what there is, and then the end.</summary>
    private async ValueTask<ReadResult> ReadAfterHoldAsync(PipeReader input)
    {
        await _receiving;
        _input.Complete();
        _ownTransport.IsReading = true;
        return await input.ReadAsync();
    }
}
