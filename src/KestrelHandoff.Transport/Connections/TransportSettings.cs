using System.Net;
using System.Net.Sockets;

namespace KestrelHandoff.Transport.Connections;

/// <summary>How connections are run. The defaults are those of Kestrel's own socket transport.</summary>
internal sealed class TransportSettings
{
    /// <summary>Queues that share the I/O work; 0 hands each piece of it to the thread pool.</summary>
    public int IOQueueCount { get; init; } = DefaultQueueCount(Environment.ProcessorCount);

    /// <summary>Whether TCP sends small segments at once (TCP_NODELAY, tcp(7)).</summary>
    public bool NoDelay { get; init; } = true;

    /// <summary>Connections that may wait to be accepted, listen(2).</summary>
    public int Backlog { get; init; } = 512;

    /// <summary>Bytes received but not consumed at which receiving pauses; <see langword="null"/>: never.</summary>
    public long? MaxReadBufferSize { get; init; } = 1024 * 1024;

    /// <summary>Bytes written but not sent at which writing pauses; <see langword="null"/>: never.</summary>
    public long? MaxWriteBufferSize { get; init; } = 64 * 1024;

    /// <summary>Whether what the application writes is sent by the thread that writes it, which goes on where it was sent. What it reads comes on the thread pool in any case.</summary>
    public bool UnsafePreferInlineScheduling { get; init; }

    /// <summary>Whether an aborted connection ends with FIN; else the peer sees a reset.</summary>
    public bool FinOnError { get; init; }

    /// <summary>Makes and binds a listening socket in place of this library; <see langword="null"/>: it does so itself.</summary>
    public Func<EndPoint, Socket>? CreateBoundListenSocket { get; init; }

    internal static int DefaultQueueCount(int processors) => processors > 32 ? processors / 2 : Math.Min(processors, 16);
}
