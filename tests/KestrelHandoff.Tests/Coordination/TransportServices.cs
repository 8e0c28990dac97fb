using KestrelHandoff.Transport;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>The transport's services as an app has them, of a host that neither starts nor stops.</summary>
internal static class TransportServices
{
    public static ServiceProvider Create(TimeProvider time) => new ServiceCollection()
        .AddLogging()
        .AddMetrics()
        .AddSingleton(time)
        .AddHandoffTransport()
        .AddSingleton<IHostApplicationLifetime, IdleLifetime>()
        .BuildServiceProvider();

    private sealed class IdleLifetime : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication()
        {
        }
    }
}
