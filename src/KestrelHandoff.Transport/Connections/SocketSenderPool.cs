using System.Collections.Concurrent;

namespace KestrelHandoff.Transport.Connections;

/// <summary>Senders that are not sending: an idle connection holds none.</summary>
internal sealed class SocketSenderPool : IDisposable
{
    private const int MaxCount = 1024;

    /// <summary>A send mostly ends at once, on the thread that began it: that one needs no queue, which all threads share, and no sender whose memory another core has.</summary>
    [ThreadStatic]
    private static SocketSender? _own;

    private readonly ConcurrentQueue<SocketSender> _senders = new();
    private int _count;
    private volatile bool _disposed;

    public SocketSender Rent()
    {
        if (_own is { } own)
        {
            _own = null;
            return own;
        }

        if (!_senders.TryDequeue(out var sender))
        {
            return new SocketSender();
        }

        Interlocked.Decrement(ref _count);
        return sender;
    }

    /// <summary>Takes a sender back whose last send succeeded; one that failed is disposed instead.</summary>
    public void Return(SocketSender sender)
    {
        if (_own is null)
        {
            sender.Reset();
            _own = sender;
            return;
        }

        if (_disposed || Volatile.Read(ref _count) >= MaxCount)
        {
            sender.Dispose();
            return;
        }

        // Some threads at once may overshoot the limit by one each, which harms nobody.
        Interlocked.Increment(ref _count);
        sender.Reset();
        _senders.Enqueue(sender);
    }

    public void Dispose()
    {
        _disposed = true;
        while (_senders.TryDequeue(out var sender))
        {
            sender.Dispose();
        }
    }
}
