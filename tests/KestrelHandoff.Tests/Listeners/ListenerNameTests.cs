using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Listeners;

public sealed class ListenerNameTests
{
    public static TheoryData<EndPoint, string> Names => new()
    {
        { new IPEndPoint(IPAddress.Loopback, 5000), "tcp:127.0.0.1:5000" },
        { new IPEndPoint(IPAddress.Any, 0), "tcp:0.0.0.0:0" },
        { new IPEndPoint(IPAddress.IPv6Any, 80), "tcp:[::]:80" },
        { new UnixDomainSocketEndPoint("/run/app.sock"), "unix:/run/app.sock" },
        { new UnixDomainSocketEndPoint("\0app"), "unix:@app" },
        { new FileHandleEndPoint(3, FileHandleType.Auto), "fd:3" },
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void Of_EndPoint_IsItsKindAndAddress(EndPoint endPoint, string name)
    {
        Assert.Equal(name, ListenerName.Of(endPoint, 0));
        Assert.Equal(name + "#2", ListenerName.Of(endPoint, 2));
    }

    [Fact]
    public void Of_EndPointOfAnotherKind_ThrowsNamingIt() => Assert.Contains(
        nameof(DnsEndPoint),
        Assert.Throws<NotSupportedException>(() => ListenerName.Of(new DnsEndPoint("localhost", 80), 0)).Message,
        StringComparison.Ordinal);
}
