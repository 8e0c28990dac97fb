using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The taking side of live connections, of either instance: each goes on at the listener that took the place of the one it came by.</summary>
internal sealed class Arrivals(ListenerTable listeners, ConnectionFactory connections, Migration migration, ILogger<Arrivals> logger)
{
    /// <summary>Nothing is read from them yet.</summary>
    public static List<(MigratingConnection Moved, Socket Socket)> Take(Migrate migrate, IReadOnlyList<DescriptorHandle> descriptors) =>
        [.. migrate.Connections.Zip(descriptors, (moved, descriptor) => (moved, new Socket(descriptor.TakeSocketHandle())))];

    /// <summary>Serves them: the other instance has been told that they are ours.</summary>
    /// <param name="taken">From <see cref="Take"/>.</param>
    /// <param name="isReturn">They come back from a successor, which has our listeners by the names they have here.</param>
    public void Continue(List<(MigratingConnection Moved, Socket Socket)> taken, bool isReturn)
    {
        Log.ConnectionsTaken(logger, taken.Count);
        foreach (var (moved, socket) in taken)
        {
            try
            {
                Continue(moved, socket, isReturn);
            }
            catch (Exception e)
            {
                Log.ConnectionNotTaken(logger, moved.Id, e); // and go on: nobody else has the others
                socket.Dispose();
            }
        }
    }

    private void Continue(MigratingConnection moved, Socket socket, bool isReturn)
    {
        var connection = connections.Adopt(
            new ReleasedConnection
            {
                Socket = socket,
                Leftover = moved.Received,
                ConnectionId = moved.Id,
                ListenerName = listeners.Listeners.FirstOrDefault(listener => (isReturn ? listener.Name : listener.Descriptor.AdoptedFrom) == moved.Listener)?.Name,
                LocalEndPoint = null,
                RemoteEndPoint = IPEndPoint.TryParse(moved.Remote ?? "", out var remote) ? remote : null,
                State = moved.State is { } state ? state : null,
                Replay = moved.Replay is { } replay ? new(replay.Request, replay.Answer) : null,
            },
            isBetween: true);
        if (listeners.Bring(connection))
        {
            migration.Arrived(connection); // this instance may be handing over itself
        }
    }
}
