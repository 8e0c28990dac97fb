namespace KestrelHandoff.Transport.Connections;

/// <summary>What is spoken on a connection after a request has turned it over: it knows where a message ends.</summary>
internal interface IMessages
{
    /// <summary>What the successor's server is given first; null if this can not move.</summary>
    Replay? Replay { get; }

    /// <summary>Only the server speaks: there is no read for it to wait in.</summary>
    bool IsOneWay { get; }

    /// <summary>
    /// Between two messages, of either side: writes no more and returns true. Called under the lock of the connection, with no read of
    /// the server under way but one that has seen nothing yet.
    /// </summary>
    bool TryHold();

    /// <summary>The connection is held: the handler is to end.</summary>
    void OnHeld();

    /// <summary>The instance goes and the connection cannot: says so to the client, in the words of the protocol, as soon as a message has ended.</summary>
    void SayGoodbye();
}
