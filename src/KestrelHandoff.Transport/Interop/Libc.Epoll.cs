using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

// epoll(7), as far as a wait for room to write needs it.
internal static unsafe partial class Libc
{
    private const int EpollCloexec = 0x80000, EpollAdd = 1, EpollDelete = 2;
    private const uint EpollOut = 0x4, EpollOneShot = 1u << 30;

    /// <summary>Makes an epoll instance, which the caller owns.</summary>
    public static SafeHandle CreateEpoll()
    {
        var epoll = EpollCreate(EpollCloexec);
        return epoll >= 0 ? new DescriptorHandle(epoll) : throw LastError("epoll_create1");
    }

    /// <summary>Has <see cref="WaitForEvents"/> report an id once, when the socket can be written to or is broken.</summary>
    public static void WatchForWrite(SafeHandle epoll, int socket, ulong id)
    {
        var item = stackalloc byte[EpollEvent.MaxSize];
        EpollEvent.Write(item, EpollOut | EpollOneShot, id);
        if (EpollControl(epoll, EpollAdd, socket, item) < 0)
        {
            throw LastError("epoll_ctl");
        }
    }

    /// <summary>Ends what <see cref="WatchForWrite"/> began.</summary>
    // Must come before the close: the kernel watches the open file, which other descriptors keep alive, not the number.
    public static void Unwatch(SafeHandle epoll, int socket)
    {
        var unused = stackalloc byte[EpollEvent.MaxSize];
        EpollControl(epoll, EpollDelete, socket, unused);
    }

    /// <summary>Waits for events; fewer than there are come at a time.</summary>
    /// <returns>The count of ids written, 0 when the time ran out.</returns>
    public static int WaitForEvents(SafeHandle epoll, Span<ulong> ids, TimeSpan limit)
    {
        var items = stackalloc byte[EpollEvent.MaxSize * ids.Length];
        var count = EpollWait(epoll, items, ids.Length, (int)limit.TotalMilliseconds);
        if (count < 0)
        {
            ThrowUnlessInterrupted("epoll_wait");
            return 0;
        }

        for (var i = 0; i < count; i++)
        {
            ids[i] = EpollEvent.ReadId(items, i);
        }

        return count;
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControl(SafeHandle epoll, int operation, int descriptor, byte* item);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int EpollWait(SafeHandle epoll, byte* items, int maxItems, int milliseconds);

    // struct epoll_event: a uint and a ulong, packed on x64 and only there (EPOLL_PACKED of sys/epoll.h)
    private static class EpollEvent
    {
        public const int MaxSize = 16;

        private static readonly int IdOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

        public static void Write(byte* item, uint events, ulong id)
        {
            MemoryMarshal.Write(new Span<byte>(item, MaxSize), events);
            MemoryMarshal.Write(new Span<byte>(item + IdOffset, sizeof(ulong)), id);
        }

        public static ulong ReadId(byte* items, int index) =>
            MemoryMarshal.Read<ulong>(new ReadOnlySpan<byte>(items + (index * (IdOffset + sizeof(ulong))) + IdOffset, sizeof(ulong)));
    }
}
