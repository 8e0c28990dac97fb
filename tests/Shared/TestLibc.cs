using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelHandoff.TestSupport;

/// <summary>libc calls only tests need.</summary>
internal static partial class TestLibc
{
    private const int DuplicateCloseOnExec = 1030; // F_DUPFD_CLOEXEC, fcntl(2)

    /// <summary>A second descriptor of the same open socket, as another process would hold it.</summary>
    public static Socket Duplicate(Socket socket)
    {
        var descriptor = Fcntl(socket.SafeHandle, DuplicateCloseOnExec, 0);
        return descriptor >= 0
            ? new Socket(new SafeSocketHandle(descriptor, ownsHandle: true))
            : throw new SocketException(Marshal.GetLastPInvokeError());
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeSocketHandle descriptor, int command, int argument);
}
