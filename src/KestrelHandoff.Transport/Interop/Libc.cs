using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

/// <summary>The libc calls .NET has no managed form of. Nothing outside the files of this class is <c>unsafe</c>.</summary>
/// <remarks>The layouts are those of 64-bit little-endian Linux, x64 and arm64, glibc and musl alike.</remarks>
internal static unsafe partial class Libc
{
    // errno of asm-generic/errno-base.h and errno.h: the same on x64 and arm64
    public const int EIntr = 4, EAgain = 11, ENotSock = 88, ETooManyRefs = 109;

    private const int FGetFd = 1; // fcntl(2)
    private const int MaxNumbersLookedAt = 4096;
    private const int FDupFdCloexec = 1030, FGetPipeSize = 1032; // linux/fcntl.h
    private const int SolSocket = 1, SoType = 3, SoAcceptConn = 30; // asm-generic/socket.h
    private const int AfUnix = 1, SockCloexec = 0x80000; // socket(2)
    private const int RLimitNoFile = 7; // asm-generic/resource.h

    /// <summary>Duplicates a descriptor; the duplicate is close-on-exec and is the same open file.</summary>
    /// <returns>The number of the duplicate, which the caller owns.</returns>
    public static int Duplicate(SafeHandle handle)
    {
        int copy;
        while ((copy = Fcntl(handle, FDupFdCloexec, 0)) < 0)
        {
            ThrowUnlessInterrupted("fcntl(F_DUPFD_CLOEXEC)");
        }

        return copy;
    }

    /// <summary>Closes a descriptor number the caller owns.</summary>
    // Never repeated on EINTR: Linux has freed the number by then, and a second close(2) would hit whoever has it now.
    public static bool Close(int descriptor) => CloseDescriptor(descriptor) == 0;

    /// <summary>Makes two Unix sockets that are connected to each other, both close-on-exec.</summary>
    public static (SafeSocketHandle First, SafeSocketHandle Second) SocketPair(SocketType type = SocketType.Stream)
    {
        var pair = stackalloc int[2];
        while (SocketPair(AfUnix, (int)type | SockCloexec, 0, pair) < 0)
        {
            ThrowUnlessInterrupted("socketpair");
        }

        return (new SafeSocketHandle(pair[0], ownsHandle: true), new SafeSocketHandle(pair[1], ownsHandle: true));
    }

    /// <summary>What the kernel says an open descriptor is; labels that came with it are not asked.</summary>
    public static DescriptorKind KindOf(SafeHandle descriptor)
    {
        if (TryGetOption(descriptor, SoType, out _))
        {
            return TryGetOption(descriptor, SoAcceptConn, out var listening) && listening != 0
                ? DescriptorKind.ListeningSocket
                : DescriptorKind.Socket;
        }

        if (Fcntl(descriptor, FGetPipeSize, 0) >= 0)
        {
            return DescriptorKind.Pipe;
        }

        return FileTypeOf(descriptor) switch
        {
            FileTypeRegular => DescriptorKind.File,
            FileTypeDirectory => DescriptorKind.Directory,
            _ => DescriptorKind.Other,
        };
    }

    /// <summary>How many descriptors this process may have open (the soft RLIMIT_NOFILE).</summary>
    public static ulong DescriptorLimit()
    {
        ResourceLimit limit;
        return GetResourceLimit(RLimitNoFile, &limit) == 0 ? limit.Soft : 0;
    }

    /// <summary>Whether so many more descriptors can be opened; told without opening one, for a thread that starts meanwhile and finds none free ends the process.</summary>
    public static bool HasFreeDescriptors(int count)
    {
        // The lowest numbers are taken first: from the top, a table that is not nearly full is told at once.
        var limit = (int)Math.Min(DescriptorLimit(), int.MaxValue);
        var last = Math.Max(0, limit - MaxNumbersLookedAt);
        for (var number = limit - 1; number >= last; number--)
        {
            if (Fcntl(number, FGetFd, 0) < 0 && --count == 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Raises the soft limit of open descriptors to the hard one. CoreCLR does so when it starts, NativeAOT does not.</summary>
    public static void RaiseDescriptorLimit()
    {
        ResourceLimit limit;
        if (GetResourceLimit(RLimitNoFile, &limit) == 0 && limit.Soft < limit.Hard)
        {
            limit.Soft = limit.Hard;
            _ = SetResourceLimit(RLimitNoFile, &limit);
        }
    }

    /// <summary>The exception for the errno of the call that has just failed, as <see cref="Socket"/> would throw it.</summary>
    public static SocketException LastError(string call)
    {
        var errno = Marshal.GetLastPInvokeError();
        var hint = errno == ETooManyRefs
            ? " This user has as many descriptors in flight as RLIMIT_NOFILE allows: let the peer receive them, or raise the limit."
            : "";
        var message = $"{call} failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).{hint}";
        return new SocketException((int)ToSocketError(errno), message);
    }

    private static bool TryGetOption(SafeHandle socket, int option, out int value)
    {
        value = 0;
        var length = (uint)sizeof(int);
        fixed (int* place = &value)
        {
            return GetSocketOption(socket, SolSocket, option, place, &length) == 0;
        }
    }

    private static void ThrowUnlessInterrupted(string call)
    {
        if (Marshal.GetLastPInvokeError() != EIntr)
        {
            throw LastError(call);
        }
    }

    private static SocketError ToSocketError(int errno) => errno switch
    {
        9 or ENotSock => SocketError.NotSocket, // EBADF
        EAgain => SocketError.WouldBlock,
        12 or 105 => SocketError.NoBufferSpaceAvailable, // ENOMEM, ENOBUFS
        1 or 13 => SocketError.AccessDenied, // EPERM, EACCES
        14 => SocketError.Fault, // EFAULT
        2 or 99 => SocketError.AddressNotAvailable, // ENOENT, EADDRNOTAVAIL
        98 => SocketError.AddressAlreadyInUse, // EADDRINUSE
        22 => SocketError.InvalidArgument, // EINVAL
        23 or 24 or ETooManyRefs => SocketError.TooManyOpenSockets, // ENFILE, EMFILE
        32 => SocketError.Shutdown, // EPIPE
        90 => SocketError.MessageSize, // EMSGSIZE
        95 => SocketError.OperationNotSupported, // EOPNOTSUPP
        104 => SocketError.ConnectionReset, // ECONNRESET
        100 => SocketError.NetworkDown, // ENETDOWN
        101 => SocketError.NetworkUnreachable, // ENETUNREACH
        103 => SocketError.ConnectionAborted, // ECONNABORTED
        107 => SocketError.NotConnected, // ENOTCONN
        110 => SocketError.TimedOut, // ETIMEDOUT
        111 => SocketError.ConnectionRefused, // ECONNREFUSED
        112 => SocketError.HostDown, // EHOSTDOWN
        113 => SocketError.HostUnreachable, // EHOSTUNREACH
        _ => SocketError.SocketError,
    };

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeHandle descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int Fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int CloseDescriptor(int descriptor);

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPair(int domain, int type, int protocol, int* pair);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    private static partial int GetSocketOption(SafeHandle socket, int level, int option, void* value, uint* length);

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int GetResourceLimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    private static partial int SetResourceLimit(int resource, ResourceLimit* limit);

    private struct ResourceLimit
    {
        public ulong Soft, Hard;
    }
}
