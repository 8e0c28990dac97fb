using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>What Kestrel binds its endpoints with: adopts the descriptor that a predecessor offered for it, or binds anew.</summary>
internal sealed class HandoffListenerFactory(
    ListenerTable table, ConnectionFactory connections, TransportSettings settings, ILogger<HandoffListenerFactory> logger, TimeProvider time)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint;

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        return await table.BindAsync(() => Bind(endpoint), cancellationToken);
    }

    private HandoffListener Bind(EndPoint endpoint)
    {
        if (table.IsReleased)
        {
            // A configuration that is reloaded while this instance drains: Kestrel logs this and goes on.
            throw new InvalidOperationException($"This instance has handed over and binds no more; its successor has {endpoint}.");
        }

        var name = table.NextName(endpoint);
        var descriptor = table.Claim(name, endpoint);
        if (descriptor is null)
        {
            descriptor = ListenSocket.Bind(endpoint, name, settings);
            Log.ListenerBound(logger, name, descriptor.LocalEndPoint);
        }
        else
        {
            Log.ListenerAdopted(logger, name, descriptor.LocalEndPoint);
        }

        return table.Add(isOpen => new HandoffListener(table, descriptor, connections, settings.Backlog, isOpen, logger, time));
    }
}
