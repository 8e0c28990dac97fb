using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Connections;

/// <summary>
/// Tells connections that something has come for them. A <see cref="Socket"/> can tell so only by an operation, which it tries first, tries again when it is
/// told, and which must be cancelled before the socket may go: this costs a request two of its three receives, and an idle connection the operation.
/// </summary>
/// <remarks>
/// Edge-triggered, epoll(7): one event for what came since the last, however much is left. A thread for each 30 processors, or 8 of arm64, as the runtime has them
/// (SocketAsyncEngine.Unix.cs), made with the first lane of connections and kept for the life of the process.
/// </remarks>
internal sealed class SocketPoller
{
    private const int EventsAtOnce = 256;

    private static readonly SocketPoller?[] All = new SocketPoller?[CountFor(Environment.ProcessorCount, RuntimeInformation.ProcessArchitecture)]; // also the lock
    private static int _next;

    private readonly SafeHandle _epoll = Libc.CreateEpoll();
    private readonly Lock _sync = new();
    private ReadSignal?[] _signals = new ReadSignal?[64]; // by the number of the descriptor
    private uint _watches; // so far

    private SocketPoller() => new Thread(Run) { IsBackground = true, Name = "Handoff poll" }.UnsafeStart(); // with nothing of who happens to be first

    /// <summary>How many pollers this process has.</summary>
    public static int Count => All.Length;

    /// <summary>One of the process's pollers, each in turn.</summary>
    /// <exception cref="SocketException">There is none yet, and no descriptor is free for one.</exception>
    public static SocketPoller Next()
    {
        lock (All)
        {
            return All[_next = (_next + 1) % All.Length] ??= new SocketPoller();
        }
    }

    /// <summary>Gives <paramref name="signal"/> whenever something has come for the socket, and at once if something is there.</summary>
    /// <exception cref="SocketException">Too many are watched (/proc/sys/fs/epoll/max_user_watches), or no memory is left.</exception>
    /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
    public void Watch(SafeSocketHandle socket, ReadSignal signal)
    {
        var isHeld = false;
        try
        {
            socket.DangerousAddRef(ref isHeld); // a number that is closed meanwhile could be another connection's
            Enter((int)socket.DangerousGetHandle(), signal);
            Libc.WatchForRead(_epoll, socket, signal.Id);
        }
        finally
        {
            if (isHeld)
            {
                socket.DangerousRelease();
            }
        }
    }

    /// <summary>Ends the watch. Closing the descriptor would not while the socket is open elsewhere, too.</summary>
    public void Unwatch(SafeSocketHandle socket, ReadSignal signal)
    {
        try
        {
            Libc.Unwatch(_epoll, socket);
        }
        catch (ObjectDisposedException)
        {
            // by the application, which has the Socket
        }

        var number = (int)(uint)signal.Id;
        lock (_sync)
        {
            if (ReferenceEquals(_signals[number], signal))
            {
                _signals[number] = null;
            }
        }
    }

    internal static int CountFor(int processors, Architecture architecture) =>
        Math.Max(1, (int)Math.Round(processors / (architecture is Architecture.Arm64 ? 8.0 : 30.0)));

    private void Enter(int number, ReadSignal signal)
    {
        lock (_sync)
        {
            if (number >= _signals.Length)
            {
                var larger = new ReadSignal?[Math.Max(number + 1, _signals.Length * 2)];
                _signals.CopyTo(larger, 0);
                Volatile.Write(ref _signals, larger);
            }

            // An open socket may be open elsewhere as well, and be heard of here after its number has become another's.
            signal.Id = ((ulong)++_watches << 32) | (uint)number;
            _signals[number] = signal;
        }
    }

    private void Run()
    {
        Span<Libc.ReadyEvent> events = stackalloc Libc.ReadyEvent[EventsAtOnce];
        while (true)
        {
            var count = Libc.WaitForEvents(_epoll, events, Timeout.InfiniteTimeSpan);
            var signals = Volatile.Read(ref _signals);
            foreach (var (id, isSpecial) in events[..count])
            {
                if (signals[(int)(uint)id] is { } signal && signal.Id == id)
                {
                    signal.Give(isSpecial);
                }
            }
        }
    }
}
