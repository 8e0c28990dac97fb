using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>Clients for what HttpClient does not do by itself.</summary>
internal static class TestClients
{
    /// <summary>HTTP/2 and nothing else, with and without TLS.</summary>
    public static HttpClient Http2(string address) => new(Handler(null))
    {
        BaseAddress = new Uri(address),
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    /// <summary>Dials an address of its own, whatever the request's says.</summary>
    public static HttpClient To(EndPoint endPoint, string address) => new(Handler(endPoint)) { BaseAddress = new Uri(address) };

    /// <summary>One request on a connection of its own; the generation that answered.</summary>
    public static async Task<string> GetOnceAsync(EndPoint endPoint, string scheme)
    {
        using var client = To(endPoint, $"{scheme}://localhost");
        return await client.TextAsync("/");
    }

    /// <summary>The subject of the certificate that is shown for a server name.</summary>
    [SuppressMessage("Security", "CA5359", Justification = "The certificate is the test's own, and no authority knows it.")]
    public static async Task<string> CertificateOfAsync(EndPoint endPoint, string serverName)
    {
        using var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(endPoint).OrHang();
        await using var stream = new SslStream(new NetworkStream(socket), leaveInnerStreamOpen: false, static (_, _, _, _) => true);
        await stream.AuthenticateAsClientAsync(serverName).OrHang();
        return stream.RemoteCertificate!.Subject;
    }

    [SuppressMessage("Security", "CA5359", Justification = "The certificate is the test's own, and no authority knows it.")]
    private static SocketsHttpHandler Handler(EndPoint? endPoint)
    {
        var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
        if (endPoint is not null)
        {
            handler.ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(endPoint, token);
                return new NetworkStream(socket, ownsSocket: true);
            };
        }

        return handler;
    }
}
