using System.Net.Sockets;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>What the kernel says about a socket: labels are not trusted.</summary>
internal static class SocketFacts
{
    // asm-generic/socket.h, the same on x64 and arm64
    private const int SolSocket = 1;
    private const int SoAcceptConn = 30;

    public static bool IsListening(Socket socket)
    {
        Span<byte> value = stackalloc byte[sizeof(int)];
        socket.GetRawSocketOption(SolSocket, SoAcceptConn, value);
        return BitConverter.ToInt32(value) != 0;
    }
}
