using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Http;

/// <summary>
/// The stream under a WebSocket. If it can move no read goes beyond the end of a frame: between two messages everything that was read has
/// been given to the app, and everything else is still the connection's. There it can be held.
/// </summary>
internal sealed class WebSocketStream(Stream inner, HandoffConnection connection, Replay? replay, Action cancel) : Stream, IMessages
{
    private readonly Lock _sync = new();
    private FrameTracker _received = new(isMasked: true);
    private FrameTracker _sent = new(isMasked: false);
    private int _writes; // under way
    private volatile bool _isReading;
    private bool _hasEnded; // the app is done with it
    private TaskCompletionSource? _readEnded;
    private volatile bool _isHeld;
    private bool _hasReaderHeard; // that it is held
    private Goodbye _goodbye;

    private enum Goodbye : byte
    {
        None,
        Wanted,
        Said,
    }

    public Replay? Replay => replay;

    public bool IsOneWay => false;

    /// <summary>The app has lost the connection to the successor, or the client was told to come back.</summary>
    public bool IsTaken => _isHeld || _goodbye == Goodbye.Said;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public bool TryHold()
    {
        lock (_sync)
        {
            if (replay is null || _hasEnded || _writes > 0 || _goodbye == Goodbye.Said || !_received.IsBetweenMessages || !_sent.IsBetweenMessages)
            {
                return false;
            }

            return _isHeld = true;
        }
    }

    public void OnHeld()
    {
        if (!_isReading)
        {
            cancel(); // else when that read has ended: cancelled under way, the WebSocket would abort the connection
        }
    }

    public void SayGoodbye()
    {
        lock (_sync)
        {
            if (_isHeld || _hasEnded || _goodbye != Goodbye.None || _sent.HasClosed)
            {
                return;
            }

            if (_writes > 0 || !_sent.IsBetweenFrames)
            {
                _goodbye = Goodbye.Wanted; // said by the write that ends the frame
                return;
            }

            _goodbye = Goodbye.Said;
        }

        _ = SendGoodbyeAsync();
    }

    /// <summary>Frame by frame, which costs reads, only where somebody will ask where a frame ends.</summary>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        replay is null ? inner.ReadAsync(buffer, cancellationToken) : ReadInFrameAsync(buffer, cancellationToken);

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        lock (_sync)
        {
            if (_isHeld)
            {
                throw Moved(null);
            }

            if (_goodbye == Goodbye.Said)
            {
                if (FrameTracker.IsControl(buffer.Span))
                {
                    return; // the answer to the client's close, or to its last ping
                }

                throw new IOException("The client was told that this instance restarts; nothing can be sent any more.");
            }

            _writes++;
            _sent.Pass(buffer.Span);
        }

        try
        {
            await inner.WriteAsync(buffer, cancellationToken);
        }
        finally
        {
            EndWrite();
        }
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        _isHeld ? Task.CompletedTask : inner.FlushAsync(cancellationToken); // each write was flushed as it was made

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => ReadAsync(buffer, offset, count, CancellationToken.None).GetAwaiter().GetResult();

    public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer, offset, count, CancellationToken.None).GetAwaiter().GetResult();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && TryEnd())
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>The app is done.</summary>
    /// <returns>False: the connection was taken from it before.</returns>
    public bool TryEnd()
    {
        lock (_sync)
        {
            _hasEnded = true;
            return !_isHeld;
        }
    }

    /// <summary>Until then the bytes that are not the app's yet cannot be told.</summary>
    public Task WhenReadEndedAsync()
    {
        lock (_sync)
        {
            return _isReading ? (_readEnded ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task : Task.CompletedTask;
        }
    }

    private async ValueTask<int> ReadInFrameAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _isReading = true;
        try
        {
            var count = await inner.ReadAsync(buffer[..Math.Min(buffer.Length, _received.ToFrameEnd)], cancellationToken);
            _received.Pass(buffer.Span[..count]);
            return count;
        }
        catch (Exception e) when (_isHeld)
        {
            cancel();

            // Once: cancelled, the WebSocket stays open, and a handler that reads as long as it is would never end.
            throw Interlocked.Exchange(ref _hasReaderHeard, true) ? new IOException(Moved(e).Message, e) : Moved(e);
        }
        finally
        {
            EndRead();
        }
    }

    private void EndRead()
    {
        TaskCompletionSource? ended;
        lock (_sync)
        {
            _isReading = false;
            ended = _readEnded;
        }

        ended?.TrySetResult();
    }

    private void EndWrite()
    {
        bool sayGoodbye;
        lock (_sync)
        {
            _writes--;
            sayGoodbye = _goodbye == Goodbye.Wanted && _writes == 0 && _sent is { IsBetweenFrames: true, HasClosed: false };
            if (sayGoodbye)
            {
                _goodbye = Goodbye.Said;
            }
        }

        if (sayGoodbye)
        {
            _ = SendGoodbyeAsync();
        }
        else
        {
            connection.EndMessage();
        }
    }

    private async Task SendGoodbyeAsync()
    {
        try
        {
            await inner.WriteAsync(WebSocketAnswer.Restart);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            // The client or the app was faster: there is nobody to say goodbye to.
        }
    }

    private static OperationCanceledException Moved(Exception? inner) => new("The connection goes on with the successor of this instance.", inner);
}
