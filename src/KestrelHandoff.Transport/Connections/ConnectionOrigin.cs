namespace KestrelHandoff.Transport.Connections;

/// <summary>What the connections that came by one listener have in common.</summary>
internal sealed class ConnectionOrigin(string listenerName)
{
    private volatile bool _hasExchanges;

    public string ListenerName => listenerName;

    /// <summary>
    /// An exchange of which connections can change hands has run here, so that a client of this listener speaks first and a connection
    /// without a word waits for that. Of a protocol of the app's own nobody knows; under TLS there is no such exchange.
    /// </summary>
    public bool HasExchanges
    {
        get => _hasExchanges;
        set => _hasExchanges = value;
    }
}
