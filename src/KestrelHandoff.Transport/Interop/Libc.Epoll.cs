using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

// epoll(7), as far as waits for room to write and for bytes to receive need it.
internal static unsafe partial class Libc
{
    private const int EpollCloexec = 0x80000, EpollAdd = 1, EpollDelete = 2;
    private const uint EpollIn = 0x1, EpollPri = 0x2, EpollOut = 0x4, EpollErr = 0x8, EpollHup = 0x10, EpollRdHup = 0x2000;
    private const uint EpollOneShot = 1u << 30, EpollEdgeTriggered = 1u << 31;

    /// <summary>Makes an epoll instance, which the caller owns.</summary>
    public static SafeHandle CreateEpoll()
    {
        var epoll = EpollCreate(EpollCloexec);
        return epoll >= 0 ? new DescriptorHandle(epoll) : throw LastError("epoll_create1");
    }

    /// <summary>Has <see cref="WaitForEvents"/> report an id once, when the socket can be written to or is broken.</summary>
    public static void WatchForWrite(SafeHandle epoll, SafeHandle socket, ulong id) => Watch(epoll, socket, EpollOut | EpollOneShot, id);

    /// <summary>Has <see cref="WaitForEvents"/> report an id whenever more has come for the socket, its end included, and at once if something is there.</summary>
    public static void WatchForRead(SafeHandle epoll, SafeHandle socket, ulong id) =>
        Watch(epoll, socket, EpollIn | EpollPri | EpollRdHup | EpollEdgeTriggered, id);

    /// <summary>Ends what one of the above began.</summary>
    // Must come before the close: the kernel watches the open file, which other descriptors keep alive, not the number.
    public static void Unwatch(SafeHandle epoll, SafeHandle socket)
    {
        var unused = stackalloc byte[EpollEvent.MaxSize];
        EpollControl(epoll, EpollDelete, socket, unused);
    }

    /// <summary>Waits for events; fewer than there are come at a time.</summary>
    /// <param name="epoll">Made by <see cref="CreateEpoll"/>.</param>
    /// <param name="events">Takes the events.</param>
    /// <param name="limit">The longest wait; <see cref="Timeout.InfiniteTimeSpan"/>: none.</param>
    /// <returns>The count of events written, 0 when the time ran out.</returns>
    public static int WaitForEvents(SafeHandle epoll, Span<ReadyEvent> events, TimeSpan limit)
    {
        var items = stackalloc byte[EpollEvent.MaxSize * events.Length];
        var count = EpollWait(epoll, items, events.Length, (int)limit.TotalMilliseconds);
        if (count < 0)
        {
            ThrowUnlessInterrupted("epoll_wait");
            return 0;
        }

        for (var i = 0; i < count; i++)
        {
            events[i] = EpollEvent.Read(items, i);
        }

        return count;
    }

    private static void Watch(SafeHandle epoll, SafeHandle socket, uint events, ulong id)
    {
        var item = stackalloc byte[EpollEvent.MaxSize];
        EpollEvent.Write(item, events, id);
        if (EpollControl(epoll, EpollAdd, socket, item) < 0)
        {
            throw LastError("epoll_ctl");
        }
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int EpollControl(SafeHandle epoll, int operation, SafeHandle descriptor, byte* item);

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

        public static ReadyEvent Read(byte* items, int index)
        {
            var item = new ReadOnlySpan<byte>(items + (index * (IdOffset + sizeof(ulong))), IdOffset + sizeof(ulong));
            return new(MemoryMarshal.Read<ulong>(item[IdOffset..]), (MemoryMarshal.Read<uint>(item) & (EpollPri | EpollErr | EpollHup | EpollRdHup)) != 0);
        }
    }

    /// <summary>One event of a socket that is watched.</summary>
    /// <param name="Id">What it was watched by.</param>
    /// <param name="IsSpecial">More than bytes to receive: urgent ones, the end of the input, or an error.</param>
    public readonly record struct ReadyEvent(ulong Id, bool IsSpecial);
}
