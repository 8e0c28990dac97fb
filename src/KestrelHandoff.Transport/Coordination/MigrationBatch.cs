using System.Net;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The connections of one message, which this instance keeps until the other has said that it has them.</summary>
internal sealed class MigrationBatch(MigrationLine line, IReadOnlyDictionary<string, string> names)
{
    /// <summary>Bytes that go along in one message: as base64 they must fit <see cref="ControlProtocol.MaxMessageLength"/>.</summary>
    public const int MaxLength = ControlProtocol.MaxMessageLength / 2;

    private readonly List<ReleasedConnection> _connections = [];

    /// <summary>Whether the other instance may have them.</summary>
    public bool IsSent { get; private set; }

    /// <summary>Takes as many as fit one message.</summary>
    public void Fill(ChannelReader<ReleasedConnection> taken)
    {
        IsSent = false;
        var length = 0;
        while (_connections.Count < Libc.MaxDescriptors && taken.TryPeek(out var next) && (_connections.Count == 0 || length + next.Length <= MaxLength))
        {
            length += next.Length;
            if (taken.TryRead(out var released))
            {
                _connections.Add(released);
            }
        }
    }

    /// <summary>Returns when the other instance has said that it has them.</summary>
    public async Task SendAsync(CancellationToken cancellationToken)
    {
        SafeHandle[] descriptors = [.. _connections.Select(released => released.Socket.SafeHandle)];
        await line.SendAsync(new Migrate([.. _connections.Select(Describe)]), descriptors, cancellationToken);
        IsSent = true;
        var migrated = await line.AnswerAsync(cancellationToken);
        if (migrated.Count != _connections.Count)
        {
            throw new ControlException(
                ControlProtocol.Reasons.Malformed, $"The peer took {migrated.Count} connections of {_connections.Count}.");
        }
    }

    /// <summary>All that are in it, for who settles whose they are.</summary>
    public ReleasedConnection[] Empty()
    {
        ReleasedConnection[] all = [.. _connections];
        _connections.Clear();
        return all;
    }

    private MigratingConnection Describe(ReleasedConnection released) => new(names[released.ListenerName!], released.ConnectionId)
    {
        Remote = (released.RemoteEndPoint as IPEndPoint)?.ToString(),
        Received = released.Leftover.IsEmpty ? null : released.Leftover.ToArray(),
        State = released.State?.ToArray(),
        Replay = released.Replay is { } replay ? new(replay.Request, replay.Answer) : null,
    };
}
