using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.RateLimiting;
using KestrelHandoff.Http;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Http;

/// <summary>What a probe makes of an app's own guards, which it meets like a client does.</summary>
public sealed class HttpSuccessorProbeTests : IAsyncDisposable
{
    private const int Permits = 7;

    private readonly SocketHandoffOptions _options = new() { WarmUpRequests = 30, WarmUpTimeLimit = TimeSpan.FromMinutes(1) };
    private readonly RecordingLogger<HttpSuccessorProbe> _logger = new();
    private readonly WebApplicationBuilder _builder = WebApplication.CreateBuilder();
    private IReadOnlyList<ReadyListener> _listeners = [new("main", "") { Scheme = Uri.UriSchemeHttp }];
    private WebApplication? _app;

    public HttpSuccessorProbeTests()
    {
        _builder.Logging.ClearProviders();
        _builder.WebHost.UseUrls("http://127.0.0.1:0");
    }

    [Fact]
    public async Task RateLimiterAnswers429_EndsTheWarmUpAndSaysSo()
    {
        var probed = await ProbeAsync(Limit(StatusCodes.Status429TooManyRequests));
        Assert.Equal(Permits, probed.Requests);
        Assert.Contains($"429 after {Permits} requests", (await _logger.NextAsync(610)).Text, StringComparison.Ordinal);
    }

    /// <summary>It counts what both are asked.</summary>
    [Theory]
    [InlineData(30)] // the first has it exhausted
    [InlineData(Permits)] // exactly, and the second meets it
    public async Task RateLimiterAnswers429_TheListenerOfHttpsIsNotProbedInVain(int warmUpRequests)
    {
        _options.WarmUpRequests = warmUpRequests;
        _options.ProbePaths.Add("/");
        _listeners = [_listeners[0], new("tls", "") { Scheme = Uri.UriSchemeHttps }];
        _builder.WebHost.ConfigureKestrel(static kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Listen(IPAddress.Loopback, 0, static listen => listen.UseHttps(MakeCertificate()));
        });
        Assert.Equal(Permits, (await ProbeAsync(Limit(StatusCodes.Status429TooManyRequests))).Requests);
        await _logger.NextAsync(610);
    }

    /// <summary>Its default. An app that breaks down after some requests answers so as well, and must get no client.</summary>
    [Fact]
    public async Task RateLimiterAnswers503_FailsAndNamesTheRemedy()
    {
        var thrown = await Assert.ThrowsAsync<HandoffException>(() => ProbeAsync(Limit(StatusCodes.Status503ServiceUnavailable)));
        Assert.Equal(HandoffFailure.ProbeFailed, thrown.Failure);
        Assert.Contains("answered GET / with 503", thrown.Message, StringComparison.Ordinal);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"counts the {Permits} requests before it, lower SocketHandoff:WarmUpRequests"), thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FirstAnswerIs429_Fails()
    {
        _options.ProbePaths.Add("/limited");
        var thrown = await Assert.ThrowsAsync<HandoffException>(() => ProbeAsync(static app => app.MapGet("/limited", static () => TypedResults.StatusCode(StatusCodes.Status429TooManyRequests))));
        Assert.Contains("answered GET /limited with 429", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EveryPathIsProbedBeforeTheWarmUp()
    {
        var asked = new List<string>();
        _options.ProbePaths.Add("/a");
        _options.ProbePaths.Add("/b");
        _options.WarmUpRequests = 0;
        var probed = await ProbeAsync(app => app.Run(context =>
        {
            asked.Add(context.Request.Path);
            return Task.CompletedTask;
        }));
        Assert.Equal(2, probed.Requests);
        Assert.Equal(["/a", "/b"], asked);
    }

    [Fact]
    public async Task AllowedHostsWithoutTheProbesHost_SaysThatTheAppMayNotHaveBeenTried()
    {
        _builder.Configuration["AllowedHosts"] = "shop.example";
        await ProbeAsync(static app => app.MapGet("/", static () => "hello"));
        var line = await _logger.NextAsync(611);
        Assert.Contains("AllowedHosts, add 'localhost'", line.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(_logger.Take(), later => later.Id == line.Id); // once, not for each request
    }

    [Theory]
    [InlineData("::1")]
    [InlineData("[::1]")]
    public async Task ProbeHostIsAnIPv6Address_HasBracketsInTheHeader(string host)
    {
        string? asked = null;
        _options.ProbeHost = host;
        _options.WarmUpRequests = 0;
        await ProbeAsync(app => app.Run(context =>
        {
            asked = context.Request.Host.Value;
            return Task.CompletedTask;
        }));
        Assert.Equal("[::1]", asked);
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }
    }

    private static X509Certificate2 MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
    }

    private Action<WebApplication> Limit(int rejection)
    {
        _builder.Services.AddRateLimiter(limiter =>
        {
            limiter.RejectionStatusCode = rejection;
            limiter.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(static _ => RateLimitPartition.GetFixedWindowLimiter(
                "all", static _ => new FixedWindowRateLimiterOptions { PermitLimit = Permits, Window = TimeSpan.FromDays(1) }));
        });
        return static app =>
        {
            app.UseRateLimiter();
            app.MapGet("/", static () => "hello");
        };
    }

    private async Task<HandoffProbe> ProbeAsync(Action<WebApplication> configure)
    {
        _app = _builder.Build();
        configure(_app);
        await _app.StartAsync(TestContext.Current.CancellationToken).OrHang();
        var ports = _app.Urls.Select(static url => new Uri(url)).ToDictionary(static url => url.Scheme, static url => url.Port);
        var probe = new HttpSuccessorProbe(Options.Create(_options), TimeProvider.System, _logger);
        var target = new ProbeTarget(_listeners, Preferred: null, async (name, cancel) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, ports[_listeners.Single(listener => listener.Name == name).Scheme!], cancel);
            return new NetworkStream(socket, ownsSocket: true);
        });
        return (await probe.ProbeAsync(target, TestContext.Current.CancellationToken).OrHang())!;
    }
}
