using System.Diagnostics;
using System.Net;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>A reverse proxy in front of the app, as people run it: connections to the app are kept and used again.</summary>
internal sealed class Nginx : IAsyncDisposable
{
    public const string Program = "/usr/sbin/nginx";

    private const int TailLines = 20;

    private readonly Process _process;
    private readonly HeardLines _errors;

    private Nginx(Process process, Uri address, Uri addressWithoutRetries)
    {
        _process = process;
        _errors = new HeardLines(process.StandardError);
        (Address, AddressWithoutRetries) = (address, addressWithoutRetries);
    }

    /// <summary>Where <c>proxy_next_upstream</c> is what nginx has by default.</summary>
    public Uri Address { get; }

    /// <summary>Where it is <c>off</c>: what goes wrong once with the app is the client's.</summary>
    public Uri AddressWithoutRetries { get; }

    /// <summary>The end of its error log.</summary>
    public string ErrorTail => string.Join('\n', _errors.Text.Split('\n').TakeLast(TailLines));

    public static async Task<Nginx> StartAsync(TestDirectory directory, IPEndPoint app)
    {
        var (port, portWithoutRetries) = (FreePort.Next(), FreePort.Next());
        var home = Directory.CreateDirectory(directory.File("nginx")).FullName;
        var configuration = Path.Combine(home, "nginx.conf");
        await File.WriteAllTextAsync(configuration, Configuration(home, app, port, portWithoutRetries)).OrHang();
        var start = new ProcessStartInfo(Program, ["-p", home, "-c", configuration, "-e", "stderr"])
        {
            RedirectStandardError = true,
            Environment = { [TestDirectory.Variable] = directory.Path },
        };
        var nginx = new Nginx(
            System.Diagnostics.Process.Start(start)!, new Uri($"http://127.0.0.1:{port}"), new Uri($"http://127.0.0.1:{portWithoutRetries}"));
        try
        {
            await nginx._errors.HearAsync("event method"); // said once it listens
            return nginx;
        }
        catch
        {
            await nginx.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().OrHang();
        await _errors.DisposeAsync();
        _process.Dispose();
    }

    private static string Configuration(string home, IPEndPoint app, int port, int portWithoutRetries) => $$"""
        daemon off;
        master_process off;
        pid {{home}}/pid;
        error_log stderr notice;
        events { worker_connections 1024; }
        http {
          access_log off;
          client_body_temp_path {{home}}/body;
          proxy_temp_path {{home}}/proxy;
          fastcgi_temp_path {{home}}/fastcgi;
          uwsgi_temp_path {{home}}/uwsgi;
          scgi_temp_path {{home}}/scgi;
          keepalive_requests 1000000;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          upstream app {
            server {{app}};
            keepalive 64;
            keepalive_requests 1000000;
          }
          server {
            listen 127.0.0.1:{{port}};
            location / { proxy_pass http://app; }
          }
          server {
            listen 127.0.0.1:{{portWithoutRetries}};
            location / { proxy_pass http://app; proxy_next_upstream off; }
          }
        }
        """;
}
