using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Launch;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport;

/// <summary>The transport's services, as a table of contents.</summary>
internal static class TransportServiceCollectionExtensions
{
    public static IServiceCollection AddHandoffTransport(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<IValidateOptions<SocketHandoffOptions>, SocketHandoffOptionsValidator>();
        services.TryAddSingleton<HandoffMetrics>();

        services.TryAddSingleton<TransportSettings>();
        services.TryAddSingleton<ConnectionRegistry>();
        services.TryAddSingleton(provider => new ConnectionFactory(
            provider.GetRequiredService<TransportSettings>(),
            provider.GetService<IMemoryPoolFactory<byte>>(),
            provider.GetRequiredService<ILogger<HandoffConnection>>(),
            provider.GetRequiredService<ConnectionRegistry>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetService<IReplayOutput>()));

        services.TryAddSingleton<ListenerTable>();
        services.AddSingleton<IConnectionListenerFactory, HandoffListenerFactory>();

        services.TryAddSingleton<Deadlines>();
        services.TryAddSingleton<ControlServer>();

        services.TryAddSingleton(StartedAs.Read());
        services.TryAddSingleton<FailureStreak>();
        services.TryAddSingleton<SuccessorLauncher>();
        services.TryAddSingleton<InstanceState>();
        services.TryAddSingleton<ProbationWatch>();
        services.TryAddSingleton<Predecessor>();
        services.TryAddSingleton<Recall>();
        services.TryAddSingleton<Restoration>();
        services.TryAddSingleton<Withdrawal>();
        services.TryAddSingleton<SignOfLife>();
        services.TryAddSingleton<Retirement>();
        services.TryAddSingleton<SuccessorHealth>();
        services.TryAddSingleton<Successor>();
        services.TryAddSingleton<Migration>();
        services.TryAddSingleton<Arrivals>();
        services.TryAddSingleton<Lineage>();
        services.TryAddSingleton<DrainProgress>();
        services.TryAddSingleton<Goodbyes>();
        services.TryAddSingleton<Drain>();
        services.TryAddSingleton<Admission>();
        services.TryAddSingleton<PoolFloor>();
        services.TryAddSingleton<HandoffCoordinator>();
        services.TryAddSingleton<ISocketHandoff, SocketHandoff>();
        services.AddSingleton<IHostedService, HandoffLifecycle>();
        return services;
    }
}
