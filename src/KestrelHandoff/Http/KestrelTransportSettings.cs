using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Http;

/// <summary>
/// What an app has set with <c>UseSockets(options => …)</c> goes for this transport too. But for <c>WaitForDataBeforeAllocatingBuffer</c>, which trades memory
/// for receives that are not made here in either case.
/// </summary>
internal static class KestrelTransportSettings
{
    /// <summary>SocketTransportOptions.FinOnErrorSwitch: Kestrel has no other setting for it.</summary>
    private const string FinOnErrorSwitch = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    private static readonly Func<System.Net.EndPoint, System.Net.Sockets.Socket> KestrelsOwn = SocketTransportOptions.CreateDefaultBoundListenSocket;

    public static TransportSettings Create(IServiceProvider services)
    {
        var sockets = services.GetRequiredService<IOptions<SocketTransportOptions>>().Value;
        return new TransportSettings
        {
            IOQueueCount = sockets.IOQueueCount,
            NoDelay = sockets.NoDelay,
            Backlog = sockets.Backlog,
            MaxReadBufferSize = sockets.MaxReadBufferSize,
            MaxWriteBufferSize = sockets.MaxWriteBufferSize,
            FinOnError = AppContext.TryGetSwitch(FinOnErrorSwitch, out var finOnError) && finOnError,
            UnsafePreferInlineScheduling = sockets.UnsafePreferInlineScheduling,
            CreateBoundListenSocket = sockets.CreateBoundListenSocket.Method == KestrelsOwn.Method ? null : sockets.CreateBoundListenSocket,
        };
    }
}
