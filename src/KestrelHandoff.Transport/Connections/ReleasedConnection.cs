using System.Net;
using System.Net.Sockets;

namespace KestrelHandoff.Transport.Connections;

/// <summary>A live connection nobody in this process serves any more: to be sent to another one, or to be created anew.</summary>
/// <remarks>
/// The socket has no operation pending, was not shut down and lingers for nobody: its Dispose is a bare close(2), which
/// leaves every other descriptor of the same connection as it was. Keep it until the adopter has acknowledged.
/// </remarks>
internal sealed class ReleasedConnection : IDisposable
{
    public required Socket Socket { get; init; }

    /// <summary>Received from the peer, not consumed by the application.</summary>
    public required ReadOnlyMemory<byte> Leftover { get; init; }

    public required string ConnectionId { get; init; }

    /// <summary>The name of the listener that it came by.</summary>
    public required string? ListenerName { get; init; }

    public required EndPoint? LocalEndPoint { get; init; }

    public required EndPoint? RemoteEndPoint { get; init; }

    /// <summary>What its handler leaves to the next one. Null unless a handler let it go, or it is to be replayed.</summary>
    public ReadOnlyMemory<byte>? State { get; init; }

    /// <summary>How the next server comes to where this one was; null if it simply reads on.</summary>
    public Replay? Replay { get; init; }

    /// <summary>It speaks HTTP/1.1 and waits for the next request.</summary>
    public bool IsBetweenRequests => State is null && Replay is null;

    /// <summary>Bytes that go along.</summary>
    public int Length => Leftover.Length + (State?.Length ?? 0) + (Replay?.Request.Length ?? 0);

    public void Dispose() => Socket.Dispose();
}
