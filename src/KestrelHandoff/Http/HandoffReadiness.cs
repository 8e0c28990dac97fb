using System.Net;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Coordination;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Retry;

namespace KestrelHandoff.Http;

/// <summary>What the app knows of itself: whether its health checks pass, and which scheme it speaks where.</summary>
internal sealed class HandoffReadiness(IServer server, IServiceProvider services, TimeProvider time, ILogger<HandoffReadiness> logger) : IReadiness
{
    /// <summary>Health checks with this tag hold Ready back until they pass.</summary>
    public const string Tag = "handoff";

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>The listener that a request came in by, if it came by this transport.</summary>
    public static string? ListenerOf(HttpContext context) => context.Features.Get<HandoffConnection>()?.ListenerName;

    /// <summary>Asks until they pass: the predecessor's ReadyTimeout is the limit.</summary>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        if (services.GetService<HealthCheckService>() is not { } checks)
        {
            return;
        }

        var registrations = services.GetRequiredService<IOptions<HealthCheckServiceOptions>>().Value.Registrations;
        if (registrations.Count > 0 && !registrations.Any(IsAsked))
        {
            HttpLog.NoneTagged(logger, registrations.Count, Tag);
        }

        var pipeline = new ResiliencePipelineBuilder<HealthReport> { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions<HealthReport>
            {
                ShouldHandle = new PredicateBuilder<HealthReport>().HandleResult(report => report.Status == HealthStatus.Unhealthy),
                MaxRetryAttempts = int.MaxValue,
                Delay = Interval,
                OnRetry = attempt =>
                {
                    HttpLog.NotHealthy(logger, string.Join(", ", Unhealthy(attempt.Outcome.Result!)));
                    return ValueTask.CompletedTask;
                },
            })
            .Build();
        await pipeline.ExecuteAsync(async token => await CheckAsync(checks, token), cancellationToken);
    }

    public async Task<string?> FindFaultAsync(CancellationToken cancellationToken) =>
        services.GetService<HealthCheckService>() is { } checks
            && await CheckAsync(checks, cancellationToken) is { Status: HealthStatus.Unhealthy } report
                ? $"its health checks fail: {string.Join(", ", Unhealthy(report))}."
                : null;

    public string? SchemeOf(EndPoint endPoint)
    {
        // "http://[::]:5000", "https://localhost:5001", "http://unix:/run/app.sock"
        var end = endPoint is IPEndPoint ip ? $":{ip.Port}" : $"unix:{endPoint}";
        return server.Features.Get<IServerAddressesFeature>()?.Addresses
            .FirstOrDefault(address => address.EndsWith(end, StringComparison.Ordinal))?.Split(':')[0];
    }

    private static Task<HealthReport> CheckAsync(HealthCheckService checks, CancellationToken cancellationToken) =>
        checks.CheckHealthAsync(IsAsked, cancellationToken);

    private static bool IsAsked(HealthCheckRegistration registration) => registration.Tags.Contains(Tag);

    private static IEnumerable<string> Unhealthy(HealthReport report) =>
        report.Entries.Where(entry => entry.Value.Status == HealthStatus.Unhealthy).Select(entry => entry.Key);
}
