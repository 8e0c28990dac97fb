using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Connections;

/// <summary>Makes connections of sockets, accepted or adopted, and deals them out to the I/O queues in turn.</summary>
internal sealed class ConnectionFactory : IDisposable
{
    private readonly ConnectionLane[] _lanes;
    private readonly ConcurrentDictionary<string, ConnectionOrigin> _origins = new();
    private readonly IReplayOutput? _replays;
    private readonly bool _noDelay;
    private uint _next;

    public ConnectionFactory(
        TransportSettings settings,
        IMemoryPoolFactory<byte>? pools,
        ILogger logger,
        ConnectionRegistry registry,
        TimeProvider? time = null,
        IReplayOutput? replays = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(settings.IOQueueCount);
        _noDelay = settings.NoDelay;
        _replays = replays;
        PipeScheduler[] queues = settings.IOQueueCount == 0 ? [PipeScheduler.ThreadPool] : [.. Enumerable.Range(0, settings.IOQueueCount).Select(_ => new IoQueue())];
        _lanes = new ConnectionLane[Math.Max(SocketPoller.Count, queues.Length)]; // a lane has one poller, and each is to have some
        for (var i = 0; i < _lanes.Length; i++)
        {
            // the shared pool ignores Dispose
            var pool = pools?.Create() ?? MemoryPool<byte>.Shared;
            _lanes[i] = new ConnectionLane(settings, queues[i % queues.Length], pool, logger, registry, time ?? TimeProvider.System);
        }
    }

    /// <summary>Takes <paramref name="socket"/> over and starts to receive.</summary>
    /// <param name="socket">A connected socket used by nobody else in this process. The connection closes it.</param>
    /// <param name="localEndPoint">The local address; <see langword="null"/>: the socket is asked.</param>
    /// <param name="remoteEndPoint">The peer's address.</param>
    /// <param name="listenerName">The listener it came by.</param>
    public HandoffConnection Create(
        Socket socket, EndPoint? localEndPoint = null, EndPoint? remoteEndPoint = null, string? listenerName = null)
    {
        var connection = new HandoffConnection(Prepare(socket), NextLane(), localEndPoint, remoteEndPoint, connectionId: null)
        {
            Origin = OriginOf(listenerName),
            IsUntouched = true,
        };
        connection.Start(received: default);
        return connection;
    }

    /// <summary>Goes on with a connection that was released, by another instance or by this one.</summary>
    /// <param name="moved">What it was. The connection closes its socket.</param>
    /// <param name="isBetween">It can be taken again before the next exchange.</param>
    public HandoffConnection Adopt(ReleasedConnection moved, bool isBetween)
    {
        Func<PipeWriter, ReplayedOutput>? behind = moved.Replay is { } replay ? output => _replays!.Behind(output, replay) : null;
        var connection = new HandoffConnection(Prepare(moved.Socket), NextLane(), moved.LocalEndPoint, moved.RemoteEndPoint, moved.ConnectionId, behind)
        {
            Origin = OriginOf(moved.ListenerName),
        };
        connection.Continue(moved.State, isBetween && moved.IsBetweenRequests);
        connection.Start(moved.Leftover, moved.Replay?.Request);
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

    private ConnectionOrigin? OriginOf(string? listenerName) =>
        listenerName is null ? null : _origins.GetOrAdd(listenerName, static name => new ConnectionOrigin(name));

    private ConnectionLane NextLane() => _lanes[Interlocked.Increment(ref _next) % (uint)_lanes.Length];

    private Socket Prepare(Socket socket)
    {
        // By the family: MPTCP (an inherited listener may be of it) is no protocol that .NET knows, and takes the option like TCP. To either value: one that moved has its predecessor's.
        if (socket.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6)
        {
            SetNoDelay(socket);
        }

        return socket;
    }

    private void SetNoDelay(Socket socket)
    {
        try
        {
            socket.NoDelay = _noDelay;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Reset while it waited to be accepted, or closed by the application: the first receive reports it.
        }
    }
}
