using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Connections;

/// <summary>Makes connections of sockets, accepted or adopted, and deals them out to the I/O queues in turn.</summary>
internal sealed class ConnectionFactory : IDisposable
{
    private readonly ConnectionLane[] _lanes;
    private readonly bool _noDelay;
    private uint _next;

    public ConnectionFactory(
        TransportSettings settings,
        IMemoryPoolFactory<byte>? pools,
        ILogger logger,
        ConnectionRegistry registry,
        TimeProvider? time = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(settings.IOQueueCount);
        _noDelay = settings.NoDelay;
        _lanes = new ConnectionLane[Math.Max(1, settings.IOQueueCount)];
        for (var i = 0; i < _lanes.Length; i++)
        {
            // the shared pool ignores Dispose
            var pool = pools?.Create() ?? MemoryPool<byte>.Shared;
            _lanes[i] = new ConnectionLane(settings, pool, logger, registry, time ?? TimeProvider.System);
        }
    }

    /// <summary>Takes <paramref name="socket"/> over and starts to receive.</summary>
    /// <param name="socket">A connected socket used by nobody else in this process. The connection closes it.</param>
    /// <param name="localEndPoint">The local address; <see langword="null"/>: the socket is asked.</param>
    /// <param name="remoteEndPoint">The peer's address. An adopted socket whose peer is gone no longer knows it.</param>
    /// <param name="received">Bytes the predecessor had received and not consumed: they come before all that is received here.</param>
    /// <param name="connectionId">The id the connection had at the predecessor; <see langword="null"/>: one of our own.</param>
    /// <param name="listenerName">The listener it came by.</param>
    /// <param name="isBetween">It was taken between two exchanges, and can be taken again before the next.</param>
    public HandoffConnection Create(
        Socket socket,
        EndPoint? localEndPoint = null,
        EndPoint? remoteEndPoint = null,
        ReadOnlyMemory<byte> received = default,
        string? connectionId = null,
        string? listenerName = null,
        bool isBetween = false)
    {
        if (_noDelay && socket.ProtocolType == ProtocolType.Tcp)
        {
            SetNoDelay(socket);
        }

        var lane = _lanes[Interlocked.Increment(ref _next) % (uint)_lanes.Length];
        var connection = new HandoffConnection(socket, lane, localEndPoint, remoteEndPoint, connectionId) { ListenerName = listenerName };
        if (isBetween)
        {
            connection.BeginBetween();
        }

        lane.Registry.Add(connection);
        connection.Start(received);
        return connection;
    }

    /// <summary>Frees the memory pools. Call it when the last connection is gone.</summary>
    public void Dispose()
    {
        foreach (var lane in _lanes)
        {
            lane.Dispose();
        }
    }

    private static void SetNoDelay(Socket socket)
    {
        try
        {
            socket.NoDelay = true;
        }
        catch (SocketException)
        {
            // Reset while it waited to be accepted: the first receive reports it to the application.
        }
    }
}
