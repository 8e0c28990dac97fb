using System.Buffers;
using System.IO.Pipelines;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Connections;

/// <summary>What a share of the connections has in common, so that each of them carries one reference to it.</summary>
internal sealed class ConnectionLane : IDisposable
{
    public ConnectionLane(
        TransportSettings settings, PipeScheduler io, MemoryPool<byte> pool, ILogger logger, ConnectionRegistry registry, TimeProvider time)
    {
        Settings = settings;
        Pool = pool;
        Logger = logger;
        Registry = registry;
        Time = time;

        var (application, transport) = settings.UnsafePreferInlineScheduling ? (PipeScheduler.Inline, PipeScheduler.Inline) : (PipeScheduler.ThreadPool, io);
        var (input, output) = (settings.MaxReadBufferSize ?? 0, settings.MaxWriteBufferSize ?? 0);

        Wake = io; // never inline: who wakes a connection polls for others, too

        // The reader never inline: a connection flushes its input under a lock (HandoffConnection.Reading), and the application must not run there.
        InputOptions = new PipeOptions(pool, PipeScheduler.ThreadPool, transport, input, input / 2, useSynchronizationContext: false);
        OutputOptions = new PipeOptions(pool, transport, application, output, output / 2, useSynchronizationContext: false);
    }

    public TransportSettings Settings { get; }

    public MemoryPool<byte> Pool { get; }

    public ILogger Logger { get; }

    public ConnectionRegistry Registry { get; }

    public TimeProvider Time { get; }

    public PipeOptions InputOptions { get; }

    public PipeOptions OutputOptions { get; }

    public SocketPoller Poller { get; } = SocketPoller.Next();

    /// <summary>Where a receive loop goes on that waited.</summary>
    public PipeScheduler Wake { get; }

    public SocketSenderPool Senders { get; } = new();

    public void Dispose()
    {
        Senders.Dispose();
        Pool.Dispose();
    }
}
