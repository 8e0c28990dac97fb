namespace KestrelHandoff;

/// <summary>
/// Lets a live connection go to the successor. It is on the features of every connection, for a handler that speaks a protocol of its own
/// (<c>UseConnectionHandler</c>), and of every request for a WebSocket or for server-sent events over HTTP/1.1; those move only with <c>MigrateOnHandoff()</c>.
/// </summary>
public interface IConnectionHandoffFeature
{
    /// <summary>
    /// Cancelled when a successor serves and asks for the connection; whether it can go at that moment, <see cref="TryHandOff"/> tells. Never cancelled if the connection cannot move, because it is
    /// under TLS or other middleware of the connection, or, in a request, has items (<c>ConnectionContext.Items</c>) that came with one.
    /// </summary>
    CancellationToken HandoffRequested { get; }

    /// <summary>
    /// What the handler of the predecessor left to this one, empty if it left nothing; <see langword="null"/>: the connection is new.
    /// </summary>
    ReadOnlyMemory<byte>? State { get; }

    /// <summary>
    /// Lets the connection go when the handler returns: what it has written is sent first; what the client has sent and the handler has
    /// not consumed goes along, and is the first that the successor's handler reads. If the successor dies before it has taken the
    /// connection, a new run of the handler in this instance gets it instead, in the same way.
    /// </summary>
    /// <param name="state">What the next handler finds in <see cref="State"/>, up to 65,536 bytes; it is copied.</param>
    /// <returns>
    /// True: the handler returns, and reads no more. False: the connection stays, because no handoff has been requested, the client has
    /// ended it, a message is half read or half sent, or it cannot move.
    /// </returns>
    /// <exception cref="ArgumentException"><paramref name="state"/> is too long.</exception>
    bool TryHandOff(ReadOnlyMemory<byte> state = default);
}
