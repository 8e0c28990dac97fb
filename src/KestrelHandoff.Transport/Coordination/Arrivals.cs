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
    /// <summary>Takes them, says so, and serves them.</summary>
    /// <param name="migrate">What the other instance has said.</param>
    /// <param name="descriptors">Their sockets.</param>
    /// <param name="isReturn">They come back from a successor, which has our listeners by the names they have here.</param>
    /// <param name="answerAsync">Tells the other instance.</param>
    /// <returns>How many.</returns>
    public async Task<int> TakeAsync(Migrate migrate, IReadOnlyList<DescriptorHandle> descriptors, bool isReturn, Func<Migrated, Task> answerAsync)
    {
        var sockets = MakeSockets(descriptors);
        try
        {
            // Acknowledged first: what is served before the other instance knows could be served by both.
            await answerAsync(new Migrated(sockets.Count));
        }
        catch (Exception e) when (PeerGone.Is(e))
        {
            // It is gone, and with it the only other copies.
        }
        catch
        {
            sockets.ForEach(socket => socket.Dispose());
            throw;
        }

        Log.ConnectionsTaken(logger, sockets.Count);
        foreach (var (moved, socket) in migrate.Connections.Zip(sockets))
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

        return sockets.Count;
    }

    /// <summary>All or none: one that is left to the finalizer would be given SO_LINGER 0, which the sender's copy has, too.</summary>
    private static List<Socket> MakeSockets(IReadOnlyList<DescriptorHandle> descriptors)
    {
        var sockets = new List<Socket>(descriptors.Count);
        try
        {
            foreach (var descriptor in descriptors)
            {
                sockets.Add(new Socket(descriptor.TakeSocketHandle()));
            }
        }
        catch (Exception e)
        {
            sockets.ForEach(socket => socket.Dispose());
            throw new ControlException(ControlProtocol.Reasons.Descriptors, $"A descriptor that came as a connection is none: {e.Message}", e);
        }

        return sockets;
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
                State = HandoffConnection.StateOf(moved.State),
                Replay = moved.Replay is { } replay ? new(replay.Request, replay.Answer) : null,
            },
            isBetween: true);
        if (listeners.Bring(connection))
        {
            migration.Arrived(connection); // this instance may be handing over itself
        }
    }
}
