using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Tests.Connections;

internal static class PollerTools
{
    public static (Socket Ours, Socket Theirs) Pair()
    {
        var (first, second) = Libc.SocketPair();
        return (new Socket(first), new Socket(second));
    }

    public static ReadSignal Watch(this SocketPoller poller, SafeSocketHandle socket)
    {
        var signal = new ReadSignal(PipeScheduler.ThreadPool);
        poller.Watch(socket, signal);
        return signal;
    }

    public static Task GivenAsync(this ReadSignal signal)
    {
        return Core().OrHang();

        async Task Core() => await signal;
    }

    /// <summary>Returns when the poller has told of all that happened before: it does so in the order in which that came.</summary>
    public static async Task CaughtUpAsync(this SocketPoller poller)
    {
        var (ours, theirs) = Pair();
        using (ours)
        using (theirs)
        {
            var signal = poller.Watch(ours.SafeHandle);
            await theirs.SendAsync("x"u8.ToArray());
            await signal.GivenAsync();
        }
    }
}
