using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Http;

/// <summary>What an app has set with <c>UseSockets(options => …)</c> goes for this transport too.</summary>
internal static class KestrelTransportSettings
{
    private static readonly Func<System.Net.EndPoint, System.Net.Sockets.Socket> KestrelsOwn = SocketTransportOptions.CreateDefaultBoundListenSocket;

    public static TransportSettings Create(IServiceProvider services)
    {
        var sockets = services.GetRequiredService<IOptions<SocketTransportOptions>>().Value;
        return new TransportSettings
        {
            IOQueueCount = sockets.IOQueueCount,
            WaitForDataBeforeAllocatingBuffer = sockets.WaitForDataBeforeAllocatingBuffer,
            NoDelay = sockets.NoDelay,
            Backlog = sockets.Backlog,
            MaxReadBufferSize = sockets.MaxReadBufferSize,
            MaxWriteBufferSize = sockets.MaxWriteBufferSize,
            UnsafePreferInlineScheduling = sockets.UnsafePreferInlineScheduling,
            CreateBoundListenSocket = sockets.CreateBoundListenSocket.Method == KestrelsOwn.Method ? null : sockets.CreateBoundListenSocket,
        };
    }
}
