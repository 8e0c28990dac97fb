using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Connections;

/// <summary>What happens to connections. Ids 500 to 599; a connection's id is made only when somebody logs it.</summary>
internal static partial class ConnectionLog
{
    public static void Paused(ILogger logger, HandoffConnection connection)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionPause(logger, connection.ConnectionId);
        }
    }

    public static void Resumed(ILogger logger, HandoffConnection connection)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionResume(logger, connection.ConnectionId);
        }
    }

    public static void FinReceived(ILogger logger, HandoffConnection connection)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionReadFin(logger, connection.ConnectionId);
        }
    }

    public static void FinSent(ILogger logger, HandoffConnection connection, string reason)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionWriteFin(logger, connection.ConnectionId, reason);
        }
    }

    public static void ResetSent(ILogger logger, HandoffConnection connection, string reason)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionWriteRst(logger, connection.ConnectionId, reason);
        }
    }

    public static void ResetReceived(ILogger logger, HandoffConnection connection)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionReset(logger, connection.ConnectionId);
        }
    }

    public static void Failed(ILogger logger, HandoffConnection connection, Exception exception)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionError(logger, connection.ConnectionId, exception);
        }
    }

    public static void Released(ILogger logger, HandoffConnection connection, int leftover)
    {
        if (logger.IsEnabled(LogLevel.Debug))
        {
            ConnectionReleased(logger, connection.ConnectionId, leftover);
        }
    }

    [LoggerMessage(508, LogLevel.Error, "Connection {ConnectionId}: unexpected exception in {Where}; the connection ends.")]
    public static partial void Unexpected(ILogger logger, string connectionId, string where, Exception exception);

    [LoggerMessage(509, LogLevel.Warning, "Connection {ConnectionId}: held for the other instance, and its handler or its client did not get done in time; it is reset.")]
    public static partial void NotReleased(ILogger logger, string connectionId);

    [LoggerMessage(500, LogLevel.Debug, "Connection {ConnectionId}: receiving pauses.", SkipEnabledCheck = true)]
    private static partial void ConnectionPause(ILogger logger, string connectionId);

    [LoggerMessage(501, LogLevel.Debug, "Connection {ConnectionId}: receiving goes on.", SkipEnabledCheck = true)]
    private static partial void ConnectionResume(ILogger logger, string connectionId);

    [LoggerMessage(502, LogLevel.Debug, "Connection {ConnectionId}: received FIN.", SkipEnabledCheck = true)]
    private static partial void ConnectionReadFin(ILogger logger, string connectionId);

    [LoggerMessage(503, LogLevel.Debug, "Connection {ConnectionId}: sending FIN because: {Reason}", SkipEnabledCheck = true)]
    private static partial void ConnectionWriteFin(ILogger logger, string connectionId, string reason);

    [LoggerMessage(504, LogLevel.Debug, "Connection {ConnectionId}: sending RST because: {Reason}", SkipEnabledCheck = true)]
    private static partial void ConnectionWriteRst(ILogger logger, string connectionId, string reason);

    [LoggerMessage(505, LogLevel.Debug, "Connection {ConnectionId}: reset by the peer.", SkipEnabledCheck = true)]
    private static partial void ConnectionReset(ILogger logger, string connectionId);

    [LoggerMessage(506, LogLevel.Debug, "Connection {ConnectionId}: communication error.", SkipEnabledCheck = true)]
    private static partial void ConnectionError(ILogger logger, string connectionId, Exception exception);

    [LoggerMessage(507, LogLevel.Debug, "Connection {ConnectionId}: released with {Leftover} bytes not consumed.", SkipEnabledCheck = true)]
    private static partial void ConnectionReleased(ILogger logger, string connectionId, int leftover);
}
