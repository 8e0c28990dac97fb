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

    public void Dispose() => Socket.Dispose();
}
