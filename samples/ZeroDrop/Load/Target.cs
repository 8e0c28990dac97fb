using System.Net;

namespace ZeroDrop.Load;

/// <summary>Where the load goes.</summary>
/// <param name="Host">As in the Host header.</param>
internal sealed record Target(IPEndPoint EndPoint, string Host, IPEndPoint? TcpEndPoint)
{
    /// <exception cref="ArgumentException">Not an http URL, or a name without an address; the message says which.</exception>
    public static Target Parse(string url, string? tcp)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme != "http")
        {
            throw new ArgumentException($"'{url}' is no http:// URL.");
        }

        var tcpUri = tcp is null ? null : new Uri(tcp.Contains("://", StringComparison.Ordinal) ? tcp : $"tcp://{tcp}");
        return new Target(Resolve(uri), uri.Authority, tcpUri is null ? null : Resolve(tcpUri));
    }

    private static IPEndPoint Resolve(Uri uri)
    {
        var addresses = IPAddress.TryParse(uri.Host.Trim('[', ']'), out var address) ? [address] : Dns.GetHostAddresses(uri.DnsSafeHost);
        return new IPEndPoint(addresses.FirstOrDefault() ?? throw new ArgumentException($"'{uri.Host}' has no address."), uri.Port);
    }
}
