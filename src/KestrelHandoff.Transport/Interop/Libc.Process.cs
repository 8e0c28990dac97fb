using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

// what concerns this process, its files and its addresses
internal static unsafe partial class Libc
{
    private const int FSetFd = 2, FdCloexec = 1; // fcntl(2)
    private const int PrioProcess = 0; // sys/resource.h
    private const int OCloexec = 0x80000; // open(2), for dup3

    /// <summary>Binds a socket by its raw address: <see cref="Socket.Bind"/> would remember a path, and delete it when it is disposed.</summary>
    public static void Bind(SafeHandle socket, ReadOnlySpan<byte> address)
    {
        fixed (byte* place = address)
        {
            if (BindAddress(socket, place, (uint)address.Length) < 0)
            {
                throw LastError("bind");
            }
        }
    }

    /// <summary>Secret random bytes, at most 256: so many getrandom(2) gives whole.</summary>
    /// <remarks>.NET's own generator loads OpenSSL first, which takes a file that can be opened.</remarks>
    public static byte[] RandomBytes(int count)
    {
        var bytes = new byte[count];
        fixed (byte* place = bytes)
        {
            while (GetRandom(place, (nuint)count, 0) != count)
            {
                ThrowUnlessInterrupted("getrandom");
            }
        }

        return bytes;
    }

    /// <summary>Keeps a descriptor from programs that this process starts.</summary>
    public static void SetCloseOnExec(SafeHandle descriptor)
    {
        if (Fcntl(descriptor, FSetFd, FdCloexec) < 0)
        {
            throw LastError("fcntl(F_SETFD)");
        }
    }

    /// <summary>Makes the number <paramref name="descriptor"/> stand for the file of <paramref name="source"/>, in one step, dup(2).</summary>
    public static void Replace(int descriptor, SafeHandle source, bool closeOnExec)
    {
        while (Duplicate3(source, descriptor, closeOnExec ? OCloexec : 0) < 0)
        {
            ThrowUnlessInterrupted("dup3");
        }
    }

    /// <summary>The nice value of a thread, -20 to 19; 0 is the calling one. On Linux getpriority(2) is about threads.</summary>
    public static int GetThreadPriority(int thread) => GetPriority(PrioProcess, (uint)thread);

    /// <summary>False if this user may not: raising takes CAP_SYS_NICE or RLIMIT_NICE; or if the thread has ended.</summary>
    public static bool TrySetThreadPriority(int thread, int nice) => SetPriority(PrioProcess, (uint)thread, nice) == 0;

    /// <summary>The user this process acts as, geteuid(2).</summary>
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();

    /// <summary>Makes this process the leader of a session of its own, setsid(2); -1 if it leads a process group already.</summary>
    [LibraryImport("libc", EntryPoint = "setsid")]
    public static partial int NewSession();

    [LibraryImport("libc", EntryPoint = "getpriority")]
    private static partial int GetPriority(int which, uint who);

    [LibraryImport("libc", EntryPoint = "setpriority", SetLastError = true)]
    private static partial int SetPriority(int which, uint who, int nice);

    [LibraryImport("libc", EntryPoint = "getrandom", SetLastError = true)]
    private static partial nint GetRandom(byte* place, nuint count, uint flags);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int BindAddress(SafeHandle socket, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "dup3", SetLastError = true)]
    private static partial int Duplicate3(SafeHandle source, int descriptor, int flags);
}
