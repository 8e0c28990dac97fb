using System.Net;
using System.Net.Sockets;

namespace KestrelHandoff.TestSupport;

/// <summary>Ports for endpoints that cannot be asked for port 0.</summary>
internal static class FreePort
{
    // Below the range the kernel chooses from (ip_local_port_range): none of these is anybody's by chance.
    private const int First = 20000, Count = 10000;

    private static int _next = Random.Shared.Next(Count);

    public static int Next()
    {
        while (true)
        {
            var port = First + (Interlocked.Increment(ref _next) % Count);
            using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
                return port;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // somebody else's
            }
        }
    }
}
