using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Http;

/// <summary>The log lines of this layer; ids from 600, a public contract as those of the transport.</summary>
internal static partial class HttpLog
{
    [LoggerMessage(600, LogLevel.Information, "Not ready yet, health checks fail: {Checks}.")]
    public static partial void NotHealthy(ILogger logger, string checks);

    [LoggerMessage(601, LogLevel.Information, "Probed the successor: {Requests} requests, the first took {FirstMs:0.0} ms, the last {LastMs:0.00} ms.")]
    public static partial void Probed(ILogger logger, int requests, double firstMs, double lastMs);

    [LoggerMessage(602, LogLevel.Warning, "Socket handoff needs Linux; this app runs without it.")]
    public static partial void Unsupported(ILogger logger);

    [LoggerMessage(603, LogLevel.Debug, "Listener {Listener} did not answer HTTP to a probe.")]
    public static partial void NotHttp(ILogger logger, string listener, Exception exception);

    [LoggerMessage(604, LogLevel.Warning, "SIGUSR2 started no handoff: {Reason}")]
    public static partial void SignalRefused(ILogger logger, string reason);

    [LoggerMessage(605, LogLevel.Information, "A handoff was asked for by {Caller}.")]
    public static partial void AskedFor(ILogger logger, string caller);

    [LoggerMessage(606, LogLevel.Warning, "{Method} of {Caller} refused. {Reason}")]
    public static partial void CallerRefused(ILogger logger, string method, string caller, string reason);

    [LoggerMessage(607, LogLevel.Error, "A handoff asked for by SIGUSR2 ended in an error.")]
    public static partial void SignalFailed(ILogger logger, Exception exception);

    [LoggerMessage(608, LogLevel.Warning, "The successor's listener {Listener} is of HTTPS, and did not answer a probe: {Reason} Nothing was tried there.")]
    public static partial void NotHttps(ILogger logger, string listener, string reason);

    [LoggerMessage(609, LogLevel.Warning, "None of the app's {Count} health checks has the tag '{Tag}': a handoff asks none of them.")]
    public static partial void NoneTagged(ILogger logger, int count, string tag);

    [LoggerMessage(610, LogLevel.Warning, "The successor answered GET {Path} with 429 after {Requests} requests: it has been probed, and is warmed up by so many. Lower SocketHandoff:WarmUpRequests, or exempt the User-Agent KestrelHandoff-Probe from the app's rate limit.")]
    public static partial void WarmUpLimited(ILogger logger, int requests, string path);

    [LoggerMessage(611, LogLevel.Warning, "The successor answered GET {Path} with 400, perhaps before anything of the app ran: if it has AllowedHosts, add '{Host}' to them, or name one of them in SocketHandoff:ProbeHost.")]
    public static partial void ProbedInVain(ILogger logger, string path, string host);
}
