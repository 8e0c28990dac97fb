using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

// recv(2), for which Socket would first wait by itself.
internal static unsafe partial class Libc
{
    private const int MsgPeek = 0x2; // linux/socket.h

    /// <summary>Receives what there is, without waiting.</summary>
    /// <param name="socket">The socket to receive from.</param>
    /// <param name="buffer">Takes the bytes.</param>
    /// <param name="count">The count of bytes received, 0 at the end.</param>
    /// <param name="peeks">The bytes stay, to be received again.</param>
    /// <returns>How it ended; <see cref="SocketError.WouldBlock"/>: nothing is there.</returns>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public static SocketError ReceiveNow(SafeSocketHandle socket, Span<byte> buffer, out int count, bool peeks = false)
    {
        fixed (byte* bytes = buffer)
        {
            nint received;
            while ((received = ReceiveBytes(socket, bytes, (nuint)buffer.Length, MsgDontWait | (peeks ? MsgPeek : 0))) < 0)
            {
                var errno = Marshal.GetLastPInvokeError();
                if (errno != EIntr)
                {
                    count = 0;
                    return ToSocketError(errno);
                }
            }

            count = (int)received;
            return SocketError.Success;
        }
    }

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint ReceiveBytes(SafeSocketHandle socket, byte* buffer, nuint length, int flags);
}
