using KestrelHandoff;
using KestrelHandoff.Http;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Coordination;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the socket handoff to an app.</summary>
public static class SocketHandoffServiceCollectionExtensions
{
    /// <summary>
    /// Lets this app hand its listening sockets over to a new instance of itself, and take them over from one.
    /// Where that is not possible (an OS other than Linux) the app starts as it would without this call, and logs so.
    /// </summary>
    /// <remarks>
    /// For the process this takes SIGUSR2 (a handoff), raises the soft limit of open files to the hard one, as .NET itself does, and
    /// for a handoff the thread pool's floor to 8 threads, until 30 seconds after it. A successor it launches runs in a session of its own.
    /// </remarks>
    /// <param name="services">The app's services.</param>
    /// <param name="configure">Changes the options after they were bound from the section <c>SocketHandoff</c>.</param>
    /// <returns><paramref name="services"/>.</returns>
    public static IServiceCollection AddSocketHandoff(this IServiceCollection services, Action<SocketHandoffOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        var options = services.AddOptions<SocketHandoffOptions>();
        var isAdded = services.Any(service => service.ServiceType == typeof(ISocketHandoff));
        if (!isAdded)
        {
            // once: lists of the section would be appended a second time
            options.BindConfiguration(SocketHandoffOptions.SectionName).ValidateOnStart();
        }

        if (configure is not null)
        {
            options.Configure(configure);
        }

        if (isAdded)
        {
            return services; // called twice: only the options add up
        }

        if (!OperatingSystem.IsLinux())
        {
            return services.AddUnsupportedSocketHandoff();
        }

        services.TryAddSingleton(KestrelTransportSettings.Create);
        services.TryAddSingleton<IReadiness, HandoffReadiness>();
        services.TryAddSingleton<ISuccessorProbe, HttpSuccessorProbe>();
        services.AddHandoffTransport();
        services.TryAddSingleton<IReplayOutput, ReplayOutput>();
        services.Insert(0, ServiceDescriptor.Singleton<IStartupFilter, LameDuck>()); // before all that changes requests: they are replayed as they came
        services.AddSingleton<IHostedService, SignalTrigger>();
        return services;
    }

    internal static IServiceCollection AddUnsupportedSocketHandoff(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<ISocketHandoff, UnsupportedSocketHandoff>();
        return services.AddHostedService(provider => (UnsupportedSocketHandoff)provider.GetRequiredService<ISocketHandoff>());
    }
}
