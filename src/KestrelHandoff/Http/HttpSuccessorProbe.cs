using System.Net;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Http;

/// <summary>
/// Tries the successor out, and warms it up, with requests through its whole pipeline: its first client must not be the one that
/// waits for the JIT. The time that requests take falls in steps; when it no longer does, it is warm.
/// </summary>
internal sealed class HttpSuccessorProbe(IOptions<SocketHandoffOptions> options, TimeProvider time, ILogger<HttpSuccessorProbe> logger) : ISuccessorProbe
{
    /// <summary>After so many requests a new connection is made: accepting and the first request on a connection need warmth too.</summary>
    private const int RequestsPerConnection = 20;

    /// <summary>The last requests, whose median the report tells.</summary>
    private const int LastRequests = 10;

    private readonly SocketHandoffOptions _options = options.Value;

    /// <summary>Without a path of the app's choice the root is asked, which not every app has.</summary>
    private bool IsAnyAnswerFine => _options.ProbePaths.Count == 0;

    public void LoadAhead() => GC.KeepAlive((Type[])[typeof(HttpClient), typeof(System.Net.Security.SslStream)]);

    public async Task<HandoffProbe?> ProbeAsync(ProbeTarget target, CancellationToken cancellationToken)
    {
        var listeners = target.Listeners.OrderByDescending(listener => listener.Name == target.Preferred).ToList();
        Exception? notHttp = null;
        HandoffProbe? main = null;
        var answered = new Answered();
        foreach (var listener in listeners)
        {
            // One endpoint that speaks HTTP stands for the app; beyond it only TLS is worth its own warm-up. Endpoints of other
            // protocols are not to be sent requests they did not ask for.
            if (main is not null && (listener.Scheme != Uri.UriSchemeHttps || answered.IsLimited))
            {
                continue;
            }

            try
            {
                var probed = await ProbeListenerAsync(target, listener.Name, listener.Scheme ?? Uri.UriSchemeHttp, answered, cancellationToken);
                main ??= probed;
            }
            catch (Exception e) when (e is HttpRequestException
                || (e is HandoffException { Failure: HandoffFailure.Timeout, InnerException: not HttpRequestException } && main is null && listener.Name != target.Preferred))
            {
                if (listener.Scheme == Uri.UriSchemeHttps)
                {
                    HttpLog.NotHttps(logger, listener.Name, e.Message); // it may ask for a client's certificate; or it has none of its own
                }
                else
                {
                    // A protocol of its own: it answers something else, or waits for more. Another listener may speak HTTP.
                    HttpLog.NotHttp(logger, listener.Name, e);
                }

                notHttp = e;
            }
        }

        if (main is null && notHttp is not null)
        {
            throw notHttp as HandoffException ?? new HandoffException(
                HandoffFailure.ProbeFailed, $"None of the successor's {listeners.Count} listeners answered an HTTP request: {notHttp.Message}", notHttp);
        }

        return main;
    }

    /// <returns>Null: a rate limiter has had enough of the listeners before it.</returns>
    private async Task<HandoffProbe?> ProbeListenerAsync(ProbeTarget target, string listener, string scheme, Answered answered, CancellationToken cancellationToken)
    {
        using var client = new ProbeClient(token => target.ConnectAsync(listener, token), scheme, _options.ProbeHost);
        string[] paths = IsAnyAnswerFine ? ["/"] : [.. _options.ProbePaths];
        var durations = new List<double>();
        var started = time.GetTimestamp();
        while (durations.Count < paths.Length || (durations.Count < _options.WarmUpRequests && time.GetElapsedTime(started) < _options.WarmUpTimeLimit))
        {
            var path = paths[durations.Count % paths.Length];
            var isLastOnConnection = durations.Count >= paths.Length && durations.Count % RequestsPerConnection == 0;
            var (status, duration) = await AskAsync(client, path, isLastOnConnection, cancellationToken);
            if (status == HttpStatusCode.TooManyRequests && answered.Count >= paths.Length)
            {
                answered.IsLimited = true;
                HttpLog.WarmUpLimited(logger, answered.Count, path);
                break;
            }

            Check(status, path, answered.Count);
            answered.Count++;
            durations.Add(duration);
        }

        if (durations.Count == 0)
        {
            return null;
        }

        var result = new HandoffProbe(durations.Count, Math.Round(durations[0], 2), Math.Round(Median(durations.TakeLast(LastRequests)), 3));
        HttpLog.Probed(logger, result.Requests, result.FirstMs, result.LastMs);
        return result;
    }

    private async Task<(HttpStatusCode Status, double Ms)> AskAsync(ProbeClient client, string path, bool isLastOnConnection, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken); // by the handoff's end, or the time below
        limit.CancelAfter(_options.ProbeTimeout);
        var started = time.GetTimestamp();
        try
        {
            return (await client.GetAsync(path, isLastOnConnection, limit.Token), time.GetElapsedTime(started).TotalMilliseconds);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HandoffException(
                HandoffFailure.Timeout,
                $"The successor did not answer GET {path} within {_options.ProbeTimeout.TotalSeconds:0.###} s (SocketHandoff:ProbeTimeout).",
                e);
        }
        catch (HttpRequestException e) when (e.InnerException is HandoffException inner)
        {
            throw new HandoffException(inner.Failure, inner.Message, e); // it could not be dialled, which says nothing of what it speaks
        }
        catch (IOException e)
        {
            throw new HandoffException(HandoffFailure.ProbeFailed, $"The successor's answer to GET {path} broke off: {e.Message}", e);
        }
    }

    /// <param name="status">The answer.</param>
    /// <param name="path">Where it comes from.</param>
    /// <param name="before">How many answers were right before, at all listeners.</param>
    private void Check(HttpStatusCode status, string path, int before)
    {
        var isRight = IsAnyAnswerFine ? (int)status < 500 : (int)status is >= 200 and < 400;
        if (!isRight)
        {
            // What ASP.NET Core's rate limiter answers unless told otherwise; but an app that breaks down after some requests may do so, too.
            var limiter = before > 0 && status == HttpStatusCode.ServiceUnavailable
                ? $"; if a rate limiter counts the {before} requests before it, lower SocketHandoff:WarmUpRequests, or have it answer 429"
                : "";
            throw new HandoffException(
                HandoffFailure.ProbeFailed,
                $"The successor answered GET {path} with {(int)status}, not {(IsAnyAnswerFine ? "below 500" : "2xx or 3xx")} (SocketHandoff:ProbePaths{limiter}).");
        }

        if (status == HttpStatusCode.BadRequest && before == 0)
        {
            HttpLog.ProbedInVain(logger, path, _options.ProbeHost);
        }
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted[sorted.Count / 2];
    }

    /// <summary>What the app has answered in one probe, at all its listeners: its rate limiter counts them together.</summary>
    private sealed class Answered
    {
        public int Count { get; set; }

        public bool IsLimited { get; set; }
    }
}
