using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>The name under which a listener changes hands: the endpoint as it is configured, not as it is bound, so that port 0 finds its port again.</summary>
internal static class ListenerName
{
    /// <summary>Such as <c>tcp:127.0.0.1:5000</c>, <c>unix:/run/app.sock</c>, <c>fd:3</c>; several of the same endpoint get <c>#1</c>, <c>#2</c>, … .</summary>
    public static string Of(EndPoint configured, int ordinal)
    {
        var name = configured switch
        {
            IPEndPoint ip => $"tcp:{ip}",
            UnixDomainSocketEndPoint unix => $"unix:{unix}",
            FileHandleEndPoint handle => $"fd:{handle.FileHandle}",
            _ => throw new NotSupportedException($"An endpoint of the type {configured.GetType()} cannot be handed off."),
        };
        return ordinal == 0 ? name : $"{name}#{ordinal}";
    }
}
