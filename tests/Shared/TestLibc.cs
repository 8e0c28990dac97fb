using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelHandoff.TestSupport;

/// <summary>libc calls only tests need.</summary>
internal static partial class TestLibc
{
    private const int DuplicateCloseOnExec = 1030, SetDescriptorFlags = 2; // F_DUPFD_CLOEXEC, F_SETFD; fcntl(2)

    /// <summary>A second descriptor of the same open socket, as another process would hold it.</summary>
    public static Socket Duplicate(Socket socket) => Duplicate(socket.SafeHandle);

    /// <summary>A second descriptor of the same open socket, as another process would hold it.</summary>
    public static Socket Duplicate(SafeHandle socket) => new(Duplicate(socket, 0));

    /// <summary>The same, with a number of at least <paramref name="lowest"/>.</summary>
    public static SafeSocketHandle Duplicate(SafeHandle socket, int lowest)
    {
        var descriptor = Fcntl(socket, DuplicateCloseOnExec, lowest);
        return descriptor >= 0 ? new SafeSocketHandle(descriptor, ownsHandle: true) : throw new SocketException(Marshal.GetLastPInvokeError());
    }

    /// <summary>Has programs started from here inherit the descriptor, as systemd leaves those it passes.</summary>
    public static void ClearCloseOnExec(SafeHandle descriptor)
    {
        if (Fcntl(descriptor, SetDescriptorFlags, 0) < 0)
        {
            throw new SocketException(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeHandle descriptor, int command, int argument);
}
