using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Http.Headers;

namespace KestrelHandoff.Http;

/// <summary>An HTTP client whose connections are not dialled but passed.</summary>
internal sealed class ProbeClient : IDisposable
{
    private const int BufferLength = 16 * 1024, MaxBody = 1024 * 1024;

    private readonly HttpClient _client;
    private readonly HttpVersionPolicy _policy;
    private Version _version;

    [SuppressMessage("Security", "CA5359", Justification = "The peer at the other end of the socketpair is known; its certificate is for the names that clients use.")]
    public ProbeClient(Func<CancellationToken, Task<Stream>> connect, string scheme, string host)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) => await connect(cancellationToken),
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
        };

        handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
        // With TLS the two agree on a version; without it there is only the one that is spoken first.
        (_version, _policy) = scheme == Uri.UriSchemeHttps
            ? (HttpVersion.Version20, HttpVersionPolicy.RequestVersionOrLower)
            : (HttpVersion.Version11, HttpVersionPolicy.RequestVersionExact);
        _client = new HttpClient(handler)
        {
            BaseAddress = new UriBuilder(scheme, host).Uri, // which knows that an IPv6 address has brackets
            Timeout = Timeout.InfiniteTimeSpan,
            DefaultRequestHeaders = { UserAgent = { new ProductInfoHeaderValue("KestrelHandoff-Probe", null) } },
        };
    }

    /// <exception cref="HttpRequestException">What answers does not speak HTTP.</exception>
    /// <exception cref="IOException">The answer breaks off.</exception>
    public async Task<HttpStatusCode> GetAsync(string path, bool isLastOnConnection, CancellationToken cancellationToken)
    {
        var status = await SendAsync(path, isLastOnConnection, cancellationToken);
        if (status != HttpStatusCode.BadRequest || _version != HttpVersion.Version11)
        {
            return status;
        }

        // Kestrel answers so where it speaks only HTTP/2 without TLS, as gRPC services do.
        _version = HttpVersion.Version20;
        try
        {
            return await SendAsync(path, isLastOnConnection, cancellationToken);
        }
        catch (HttpRequestException)
        {
            _version = HttpVersion.Version11;
            return status;
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<HttpStatusCode> SendAsync(string path, bool isLastOnConnection, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path)
        {
            Version = _version,
            VersionPolicy = _policy,
        };
        request.Headers.ConnectionClose = isLastOnConnection && _version == HttpVersion.Version11 ? true : null;
        using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await ReadAsync(await response.Content.ReadAsStreamAsync(cancellationToken), cancellationToken);
        return response.StatusCode;
    }

    /// <summary>To the end, so that the connection can be used again; what is very long is cut off, together with it.</summary>
    private static async Task ReadAsync(Stream body, CancellationToken cancellationToken)
    {
        var buffer = new byte[BufferLength];
        for (int total = 0, count = 1; count > 0 && total < MaxBody; total += count)
        {
            count = await body.ReadAsync(buffer, cancellationToken);
        }
    }
}
