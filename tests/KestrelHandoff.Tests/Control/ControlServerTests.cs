using System.Diagnostics;
using System.Net.Sockets;
using System.Threading.Channels;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Interop;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Control;

public sealed class ControlServerTests : IAsyncDisposable
{
    private static readonly Hello RightHello = new(ControlProtocol.Version, ControlProtocol.MinVersion, 42);

    private readonly TempDirectory _directory = new();
    private readonly ShiftingTime _time = new();
    private readonly RecordingLogger<ControlServer> _logger = new();
    private readonly Channel<Greeting> _greetings = Channel.CreateUnbounded<Greeting>();
    private readonly SocketHandoffOptions _options = new();
    private readonly ControlServer _server;

    public ControlServerTests()
    {
        _server = new(new Deadlines(Options.Create(_options), _time), _time, _logger);
        _server.Start(ControlSocket.Bind(_directory["c"]), GreetAsync);
    }

    private Func<Greeting, Task>? Refusing { get; set; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public Task Hello_OfThisVersion_IsGreeted() => AssertServesAsync();

    [Fact]
    public async Task Path_Deleted_IsMadeAgain()
    {
        File.Delete(_directory["c"]);
        await _time.PassAsync(TimeSpan.FromSeconds(10));
        Assert.Contains(_directory["c"], (await _logger.NextAsync(303)).Text, StringComparison.Ordinal);
        await AssertServesAsync();
    }

    /// <summary>An instance that was started while the path was missing found nobody, made its own, and was killed.</summary>
    [Fact]
    public async Task Path_IsOfOneThatHasDied_IsMadeAgain()
    {
        using (var other = ControlSocket.Bind(_directory["c"]))
        {
            other.Listener.OwnedPath = null; // a killed process deletes nothing
        }

        await _time.PassAsync(TimeSpan.FromSeconds(10));
        await _logger.NextAsync(303);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Path_IsOfOneThatLives_IsLeftToIt()
    {
        using (ControlSocket.Bind(_directory["c"]))
        {
            await _time.PassAsync(TimeSpan.FromSeconds(10));
            await _logger.NextAsync(304);
            await _time.PassAsync(TimeSpan.FromMinutes(10)); // not as often as where it could do something
            await _logger.NextAsync(304);
            await _server.DisposeAsync().OrHang();
            Assert.True(File.Exists(_directory["c"]));
        }

        Assert.False(File.Exists(_directory["c"]));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 1)]
    public async Task Hello_RangeThatMeetsOurs_IsGreeted(int version, int minVersion)
    {
        using var client = await ConnectAsync();
        await client.SendAsync(new Hello(version, minVersion, 42), Cancel).OrHang();
        Assert.Equal(version, (await _greetings.Reader.ReadAsync(Cancel).OrHang()).Hello.Version);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(9, 2)]
    public async Task Hello_RangeThatMissesOurs_IsRefusedNamingBoth(int version, int minVersion)
    {
        using var client = await ConnectAsync();
        await client.SendAsync(new Hello(version, minVersion, 42), Cancel).OrHang();
        var refuse = await RefusedAsync(client, ControlProtocol.Reasons.Version);
        Assert.Contains($"{minVersion} to {version}", refuse.Detail, StringComparison.Ordinal);
        Assert.Contains("1 to 1", refuse.Detail, StringComparison.Ordinal);
        await AssertServesAsync();
    }

    [Fact]
    public async Task FirstMessage_ThatIsNoHello_IsRefused()
    {
        using var client = await ConnectAsync();
        await client.SendAsync(new Accepting(), Cancel).OrHang();
        var refuse = await RefusedAsync(client, ControlProtocol.Reasons.UnexpectedMessage);
        Assert.Equal("Accepting came where Hello was expected.", refuse.Detail);
        await AssertServesAsync();
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("\0\0\0\0")]
    [InlineData("\u007f\0\0\0")]
    [InlineData("\0\0\0\u0003abc")]
    [InlineData("\u0016\u0003\u0001\u0002\0\u0001")] // the begin of TLS
    public async Task Bytes_ThatAreNoMessage_AreRefused(string bytes)
    {
        using var client = await ConnectRawAsync();
        await client.SendAsync(System.Text.Encoding.Latin1.GetBytes(bytes), Cancel).OrHang();
        await RefusedAsync(new ControlChannel(client), ControlProtocol.Reasons.Malformed);
        await AssertServesAsync();
    }

    [Fact]
    public async Task UnknownMessage_IsRefusedByItsName()
    {
        using var client = await ConnectRawAsync();
        byte[] json = [.. """{"type":"surrender"}"""u8];
        await client.SendAsync((byte[])[0, 0, 0, (byte)json.Length, .. json], Cancel).OrHang();
        var refuse = await RefusedAsync(new ControlChannel(client), ControlProtocol.Reasons.UnknownMessage);
        Assert.Contains("'surrender'", refuse.Detail, StringComparison.Ordinal);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Peer_ThatSaysNothing_IsLetGoAfterTheExchangeTimeout()
    {
        using var client = await ConnectAsync();
        await _time.PassAsync(_options.ExchangeTimeout);
        using var received = await client.ReceiveAsync(Cancel).OrHang();
        var abort = Assert.IsType<Abort>(received!.Message);
        Assert.Contains("SocketHandoff:ExchangeTimeout", abort.Detail, StringComparison.Ordinal);
        Assert.Null(await client.ReceiveAsync(Cancel).OrHang());
        await AssertServesAsync();
    }

    [Fact]
    public async Task Peer_ThatSaysNothing_HoldsUpNobody()
    {
        using var silent = await ConnectAsync();
        await AssertServesAsync();
    }

    [Fact]
    public async Task Peer_ThatClosesAtOnce_IsForgotten()
    {
        (await ConnectAsync()).Dispose();
        await _logger.NextAsync(300);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Greeter_ThatRefuses_IsPassedOnToThePeer()
    {
        Refusing = _ => throw new ControlException(ControlProtocol.Reasons.Busy, "later");
        using var client = await ConnectAsync();
        await client.SendAsync(RightHello, Cancel).OrHang();
        Assert.Equal("later", (await RefusedAsync(client, ControlProtocol.Reasons.Busy)).Detail);
        Refusing = null;
        await AssertServesAsync();
    }

    [Fact]
    public async Task StopAndResume_ConnectsInBetween_WaitAndAreServed()
    {
        for (var round = 0; round < 50; round++)
        {
            using var before = await ConnectAsync();
            var socket = await _server.StopAsync().OrHang();
            using var between = await ConnectAsync();
            await before.SendAsync(RightHello, Cancel).OrHang();
            await between.SendAsync(RightHello, Cancel).OrHang();
            _server.Resume(socket);
            (await _greetings.Reader.ReadAsync(Cancel).OrHang()).Channel.Dispose();
            (await _greetings.Reader.ReadAsync(Cancel).OrHang()).Channel.Dispose();
        }
    }

    [Fact]
    public async Task Stop_GivesTheSocketAndThePathStays()
    {
        using var socket = await _server.StopAsync().OrHang();
        Assert.Equal(_directory["c"], socket!.Path);
        Assert.Null(_server.Path);
        Assert.True(File.Exists(_directory["c"]));
        Assert.Null(await _server.StopAsync().OrHang());
    }

    [Fact]
    public async Task Resume_WithoutASocket_DoesNothing()
    {
        await _server.DisposeAsync().OrHang();
        _server.Resume(null);
        Assert.Null(_server.Path);
        Assert.False(File.Exists(_directory["c"]));
    }

    [Fact]
    public async Task Peer_OfAnotherUser_IsRefusedWithBothUsers()
    {
        Assert.SkipUnless(Libc.EffectiveUser() == 0, "Only root can become another user.");
        foreach (var path in new[] { _directory.Path, _directory["c"] })
        {
            File.SetUnixFileMode(path, (UnixFileMode)511); // somebody has loosened them: 0777
        }

        const string Connect = """
            import os, socket, sys
            os.setuid(65534)
            s = socket.socket(socket.AF_UNIX)
            s.connect(sys.argv[1])
            answer = s.makefile("rb").read()
            print(answer[4:].decode())
            """;
        using var python = Process.Start(new ProcessStartInfo("python3", ["-c", Connect, _directory["c"]]) { RedirectStandardOutput = true });
        var answer = await python!.StandardOutput.ReadToEndAsync(Cancel).OrHang();
        Assert.Contains("""
            "reason":"user"
            """, answer, StringComparison.Ordinal);
        Assert.Contains("uid 65534 may not take over from uid 0", answer, StringComparison.Ordinal);
        Assert.False(_greetings.Reader.TryRead(out _));
        await AssertServesAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync().OrHang();
        _directory.Dispose();
    }

    private Task GreetAsync(Greeting greeting)
    {
        if (Refusing is { } refusing)
        {
            return refusing(greeting);
        }

        _greetings.Writer.TryWrite(greeting);
        return Task.CompletedTask;
    }

    private Task<ControlChannel> ConnectAsync() => ControlSocket.ConnectAsync(_directory["c"], Cancel).OrHang();

    private async Task<Socket> ConnectRawAsync()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_directory["c"]), Cancel).OrHang();
        return socket;
    }

    private async Task<Refuse> RefusedAsync(ControlChannel client, string reason)
    {
        using var received = await client.ReceiveAsync(Cancel).OrHang();
        var refuse = Assert.IsType<Refuse>(received!.Message);
        Assert.Equal(reason, refuse.Reason);
        Assert.Null(await client.ReceiveAsync(Cancel).OrHang());
        Assert.Contains(refuse.Detail, (await _logger.NextAsync(300)).Text, StringComparison.Ordinal);
        return refuse;
    }

    private async Task AssertServesAsync()
    {
        using var client = await ConnectAsync();
        await client.SendAsync(RightHello, Cancel).OrHang();
        var greeting = await _greetings.Reader.ReadAsync(Cancel).OrHang();
        Assert.Equal(RightHello.ProcessId, greeting.Hello.ProcessId);
        await greeting.Channel.SendAsync(new Commit(), Cancel).OrHang();
        Assert.IsType<Commit>((await client.ReceiveAsync(Cancel).OrHang())!.Message);
        greeting.Channel.Dispose();
    }
}
