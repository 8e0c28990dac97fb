using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KestrelHandoff.TestApp;

/// <summary>The endpoints that configuration has no words for; the others come from Kestrel's own section.</summary>
internal static class Endpoints
{
    public static void Configure(KestrelServerOptions kestrel, IConfiguration configuration)
    {
        if (configuration["handle"] is { } handle)
        {
            kestrel.ListenHandle(ulong.Parse(handle, CultureInfo.InvariantCulture));
        }

        if (configuration["abstract"] is { } name)
        {
            kestrel.Listen(new UnixDomainSocketEndPoint($"\0{name}"));
        }

        if (configuration["tcp"] is { } tcp)
        {
            kestrel.Listen(IPEndPoint.Parse(tcp), listen => listen.UseConnectionHandler<LineEcho>());
        }

        if (configuration["preamble"] is { } behindProxy)
        {
            kestrel.Listen(IPEndPoint.Parse(behindProxy), listen => listen.Use(next => connection => Preamble.ReadAsync(connection, next)));
        }

        if (configuration["moving-tcp"] is { } moving)
        {
            kestrel.Listen(IPEndPoint.Parse(moving), listen => listen.UseConnectionHandler<LineCounter>());
        }
    }
}
