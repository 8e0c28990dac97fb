using KestrelHandoff.Http;
using KestrelHandoff.Tests.Support;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace KestrelHandoff.Tests.Http;

public class HandoffReadinessTests
{
    private readonly RecordingLogger<HandoffReadiness> _logger = new();

    [Fact]
    public async Task Wait_ChecksWithoutTheTag_AreNotAsked_AndAWarningSaysSo()
    {
        await Readiness(("db", HealthStatus.Unhealthy, [])).WaitAsync(CancellationToken.None).OrHang();

        Assert.Contains("None of the app's 1 health checks has the tag 'handoff'", Assert.Single(_logger.Take()).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Wait_OneCheckWithTheTag_NoWarning()
    {
        await Readiness(("db", HealthStatus.Degraded, ["handoff"]), ("other", HealthStatus.Unhealthy, [])).WaitAsync(CancellationToken.None).OrHang();

        Assert.Empty(_logger.Take());
    }

    private HandoffReadiness Readiness(params (string Name, HealthStatus Status, string[] Tags)[] checks)
    {
        var services = new ServiceCollection();
        services.AddLogging();
        var builder = services.AddHealthChecks();
        foreach (var (name, status, tags) in checks)
        {
            builder.AddCheck(name, () => new HealthCheckResult(status), tags);
        }

        return new HandoffReadiness(new NoServer(), services.BuildServiceProvider(), TimeProvider.System, _logger);
    }

    private sealed class NoServer : IServer
    {
        public IFeatureCollection Features { get; } = new FeatureCollection();

        public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
            where TContext : notnull => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose()
        {
        }
    }
}
