using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Endpoint;
using KestrelHandoff.Transport.Interop;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Tests.Endpoint;

public sealed class CallerGuardTests
{
    private readonly DefaultHttpContext _context = new();

    public CallerGuardTests()
    {
        _context.Request.Host = new("localhost:5000");
        _context.Request.Protocol = "HTTP/1.1";
        From("127.0.0.1");
    }

    [Fact]
    public void Rehearse_PassesAllOfIt() => Assert.Null(CallerGuard.Rehearse());

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.1.2.3")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    public void Refusal_Loopback_IsNone(string address)
    {
        From(address);
        Assert.Null(CallerGuard.Refusal(_context));
    }

    [Theory]
    [InlineData("evil.example", false)]
    [InlineData("localhost.evil.example", false)]
    [InlineData("LOCALHOST", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("[::1]:5000", true)]
    public void Refusal_LoopbackByName_OnlyForNamesNobodyElseControls(string host, bool isFine)
    {
        _context.Request.Host = new(host);
        Assert.Equal(isFine, CallerGuard.Refusal(_context) is null);
    }

    [Fact]
    public void Refusal_UnixSocketOfTheSameUser_IsNone()
    {
        var (ours, theirs) = Libc.SocketPair();
        using var socket = new Socket(ours);
        using (theirs)
        {
            _context.Connection.RemoteIpAddress = null;
            _context.Features.Set<IConnectionSocketFeature>(new SocketFeature(socket));
            Assert.Null(CallerGuard.Refusal(_context));
        }
    }

    /// <summary>UseForwardedHeaders() gives a connection over a Unix socket whichever address the client names, and takes the header away.</summary>
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.0.0.7")]
    public void Refusal_UnixSocketWithAnAddress_CameThroughAProxy(string forwarded)
    {
        var (ours, theirs) = Libc.SocketPair();
        using var socket = new Socket(ours);
        using (theirs)
        {
            _context.Features.Set<IConnectionSocketFeature>(new SocketFeature(socket));
            _context.Features.Set<IConnectionEndPointFeature>(new EndPointFeature { RemoteEndPoint = new UnixDomainSocketEndPoint("/run/proxy.sock") });
            From(forwarded);
            Assert.Contains($"through a proxy ({forwarded}", CallerGuard.Refusal(_context), StringComparison.Ordinal);
            _context.Connection.RemoteIpAddress = null;
            Assert.Null(CallerGuard.Refusal(_context));
        }
    }

    [Fact]
    public void Refusal_AddressThatIsNotTheConnections_CameThroughAProxy()
    {
        _context.Features.Set<IConnectionEndPointFeature>(new EndPointFeature { RemoteEndPoint = new IPEndPoint(IPAddress.Parse("127.0.0.2"), 4000) });
        Assert.Contains("through a proxy (127.0.0.1", CallerGuard.Refusal(_context), StringComparison.Ordinal);
        From("127.0.0.2");
        Assert.Null(CallerGuard.Refusal(_context));
    }

    [Fact]
    public void Refusal_NoAddressAndNoSocket_NamesTheRemedy()
    {
        _context.Connection.RemoteIpAddress = null;
        Assert.Contains("RequireAuthorization", CallerGuard.Refusal(_context), StringComparison.Ordinal);
    }

    [Fact]
    public void Refusal_Http10_IsTakenForAProxy()
    {
        _context.Request.Protocol = "HTTP/1.0";
        Assert.Contains("nginx", CallerGuard.Refusal(_context), StringComparison.Ordinal);
        _context.Request.Protocol = "HTTP/2";
        Assert.Null(CallerGuard.Refusal(_context));
    }

    [Theory]
    [InlineData("10.0.0.7")]
    [InlineData("0.0.0.0")]
    [InlineData("::ffff:10.0.0.7")]
    [InlineData("::")]
    [InlineData("fe80::1")]
    public void Refusal_AnotherMachine_NamesItAndTheRemedy(string address)
    {
        From(address);
        var refusal = CallerGuard.Refusal(_context);
        Assert.Contains($"{_context.Connection.RemoteIpAddress} is not this machine", refusal, StringComparison.Ordinal);
        Assert.Contains("RequireAuthorization", refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Forwarded")]
    [InlineData("X-Forwarded-For")]
    [InlineData("X-Forwarded-Host")]
    [InlineData("X-Forwarded-Proto")]
    [InlineData("X-Forwarded-Prefix")]
    [InlineData("X-Original-For")]
    [InlineData("X-Original-Host")]
    [InlineData("X-Original-Proto")]
    [InlineData("X-Real-IP")]
    [InlineData("Via")]
    [InlineData("x-forwarded-for")]
    public void Refusal_ThroughAProxy_NamesTheHeader(string header)
    {
        _context.Request.Headers[header] = "";
        Assert.Contains($"({header})", CallerGuard.Refusal(_context), StringComparison.OrdinalIgnoreCase);
        _context.Connection.RemoteIpAddress = null;
        Assert.NotNull(CallerGuard.Refusal(_context));
    }

    [Fact]
    public void Refusal_Authorised_IsNoneWhereverItComesFrom()
    {
        From("10.0.0.7");
        _context.Request.Headers["X-Forwarded-For"] = "1.2.3.4";
        Endpoint(new AuthorizeAttribute());
        Assert.Null(CallerGuard.Refusal(_context));
        Endpoint(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        Assert.Null(CallerGuard.Refusal(_context));
    }

    [Fact]
    public void Refusal_EndpointWithoutAPolicy_IsLocalOnly()
    {
        From("10.0.0.7");
        Endpoint("something else");
        Assert.NotNull(CallerGuard.Refusal(_context));
    }

    [Fact]
    public void Refusal_PolicyTakenBackByAllowAnonymous_IsLocalOnly()
    {
        Endpoint(new AuthorizeAttribute(), new AllowAnonymousAttribute());
        Assert.Null(CallerGuard.Refusal(_context));
        From("10.0.0.7");
        Assert.NotNull(CallerGuard.Refusal(_context));
    }

    [Theory]
    [InlineData("cross-site")]
    [InlineData("same-site")]
    [InlineData("")]
    public void Refusal_BrowserOnAnotherSite_EvenIfAuthorised(string site)
    {
        Endpoint(new AuthorizeAttribute());
        _context.Request.Headers["Sec-Fetch-Site"] = site;
        Assert.Contains("another site", CallerGuard.Refusal(_context), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("http://localhost:6000")]
    [InlineData("http://localhost")]
    [InlineData("null")]
    [InlineData("")]
    [InlineData("http://localhost:5000.evil.example")]
    [InlineData("http://user@evil.example:5000")]
    public void Refusal_ForeignOrigin_EvenIfAuthorised(string origin)
    {
        Endpoint(new AuthorizeAttribute());
        _context.Request.Headers.Origin = origin;
        Assert.Contains("another site", CallerGuard.Refusal(_context), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("same-origin", "http://localhost:5000")]
    [InlineData("none", null)] // typed into the address bar
    [InlineData(null, "http://localhost:5000")] // a browser that says less
    public void Refusal_PageOfThisInstance_IsNone(string? site, string? origin)
    {
        _context.Request.Headers["Sec-Fetch-Site"] = site;
        _context.Request.Headers.Origin = origin;
        Assert.Null(CallerGuard.Refusal(_context));
    }

    [Theory]
    [InlineData("127.0.0.1:5000")]
    [InlineData("[::1]:5000")]
    public void Refusal_PageOfThisInstanceByAddress_IsNone(string host)
    {
        _context.Request.Host = new(host);
        _context.Request.Headers.Origin = $"http://{host}";
        Assert.Null(CallerGuard.Refusal(_context));
    }

    [Fact]
    public void Refusal_NameThatAnAttackerHasResolveToTheLoopback_IsAnotherSite()
    {
        _context.Request.Host = new("evil.example:5000");
        _context.Request.Headers.Origin = "http://evil.example:5000";
        Assert.Contains("another site", CallerGuard.Refusal(_context), StringComparison.Ordinal);
    }

    private sealed record SocketFeature(Socket Socket) : IConnectionSocketFeature;

    private sealed class EndPointFeature : IConnectionEndPointFeature
    {
        public EndPoint? LocalEndPoint { get; set; }

        public EndPoint? RemoteEndPoint { get; set; }
    }

    private void From(string address) => _context.Connection.RemoteIpAddress = IPAddress.Parse(address);

    private void Endpoint(params object[] metadata) => _context.SetEndpoint(new(null, new(metadata), null));
}
