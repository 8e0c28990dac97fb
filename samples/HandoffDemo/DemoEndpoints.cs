using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace HandoffDemo;

/// <summary>What the demo listens on besides <c>--urls</c>: HTTPS and raw TCP.</summary>
internal sealed class DemoEndpoints
{
    private readonly List<(string Scheme, ListenOptions Options)> _listeners = [];

    public static DemoEndpoints Configure(WebApplicationBuilder builder)
    {
        var endpoints = new DemoEndpoints();
        var configuration = builder.Configuration;
        var urls = configuration["urls"] ?? "http://127.0.0.1:5000";
        var https = configuration.GetValue<int?>("https");
        var tcp = configuration.GetValue<int?>("tcp");

        if (https is null && tcp is null)
        {
            return endpoints; // Kestrel reads --urls itself
        }

        // Kestrel takes its endpoints from one place only: with one named in code, those of --urls must be as well. It warns that
        // they are overridden; they are the same.
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            foreach (var url in urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                endpoints.ListenOn(kestrel, BindingAddress.Parse(url));
            }

            if (https is { } httpsPort)
            {
                var certificate = Certificate(configuration["cert"]);
                kestrel.Listen(IPAddress.Loopback, httpsPort, listen => endpoints.Add("https", listen).UseHttps(certificate));
            }

            if (tcp is { } tcpPort)
            {
                kestrel.Listen(IPAddress.Loopback, tcpPort, listen => endpoints.Add("tcp", listen).UseConnectionHandler<LineEchoHandler>());
            }
        });
        return endpoints;
    }

    /// <summary>The addresses, with the ports the kernel chose, once the app listens.</summary>
    public string Describe(WebApplication app) => _listeners.Count == 0
        ? string.Join(' ', app.Urls)
        : string.Join(' ', _listeners.Select(l => $"{l.Scheme}://{(object?)l.Options.IPEndPoint ?? l.Options.SocketPath}"));

    private void ListenOn(KestrelServerOptions kestrel, BindingAddress address)
    {
        if (address.IsUnixPipe)
        {
            kestrel.ListenUnixSocket(address.UnixPipePath, Named);
        }
        else if (IPAddress.TryParse(address.Host, out var ip))
        {
            kestrel.Listen(ip, address.Port, Named);
        }
        else if (address.Host == "localhost")
        {
            kestrel.ListenLocalhost(address.Port, Named);
        }
        else
        {
            kestrel.ListenAnyIP(address.Port, Named);
        }

        void Named(ListenOptions listen) => Add(address.IsUnixPipe ? "unix" : address.Scheme, listen);
    }

    private ListenOptions Add(string scheme, ListenOptions listen)
    {
        _listeners.Add((scheme, listen));
        return listen;
    }

    /// <summary>The certificate at <paramref name="path"/>, made there when there is none; without a path it lives as long as the process.</summary>
    private static X509Certificate2 Certificate(string? path)
    {
        if (path is not null && File.Exists(path))
        {
            return X509CertificateLoader.LoadPkcs12FromFile(path, password: null);
        }

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddYears(1));
        var bytes = certificate.Export(X509ContentType.Pkcs12);
        if (path is not null)
        {
            using var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite, // it holds the private key
            });
            file.Write(bytes);
        }

        return X509CertificateLoader.LoadPkcs12(bytes, password: null);
    }
}
