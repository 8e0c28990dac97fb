using System.Net.Sockets;

namespace KestrelHandoff.Transport.Control;

/// <summary>How the end of the life-line looks from the calls that meet it.</summary>
internal static class PeerGone
{
    public static bool Is(Exception e) =>
        e is EndOfStreamException or SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown or SocketError.NotConnected };
}
