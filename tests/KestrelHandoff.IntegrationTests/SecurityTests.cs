using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>Bad input ends in words that name the value; the serving instance goes on serving.</summary>
public sealed class SecurityTests
{
    private const string ForeignHello = """
        import os, socket, sys
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(sys.argv[1])
            print("answer", s.recv(4096), flush=True)
        """;

    public static TheoryData<string, byte[], string> BadBytes => new()
    {
        { "version", Frame("""{"type":"hello","version":99,"minVersion":98,"processId":1}"""), "The successor speaks the versions 98 to 99, this instance 1 to 1." },
        { "garbage", "GET / HTTP/1.1\r\n\r\n"u8.ToArray(), $"A message length of {0x47455420} is not from 1 to 1048576" },
        { "oversize", [0, 0x10, 0, 1], "A message length of 1048577 is not from 1 to 1048576" },
        { "unknown", Frame("""{"type":"teleport"}"""), "'teleport' is no message of protocol version 1." },
        { "unexpected", Frame("""{"type":"commit"}"""), "Commit came where Hello was expected." },
        { "token", Frame("""{"type":"hello","version":1,"minVersion":1,"processId":1,"token":"ABCD"}"""), "The token is not that of a successor launched here" },
    };

    public static TheoryData<string, string, string> BadOptions => new()
    {
        { "ReadyTimeout", "00:00:00", "must be from 00:00:01 to 01:00:00, but is 00:00:00" },
        { "LaunchTimeout", "02:00:00", "but is 02:00:00" },
        { "ExchangeTimeout", "00:00:00.05", "but is 00:00:00.0500000" },
        { "ProbeTimeout", "-00:00:01", "but is -00:00:01" },
        { "CommitTimeout", "1.00:00:00", "but is 1.00:00:00" },
        { "DrainTimeout", "2.00:00:00", "but is 2.00:00:00" },
        { "WarmUpTimeLimit", "00:10:01", "but is 00:10:01" },
        { "WarmUpRequests", "100001", "but is 100001" },
        { "ProbePaths:0", "no-slash", "but one is 'no-slash'" },
        { "ProbeHost", "a b", "but is 'a b'" },
        { "WorkingDirectory", "/nowhere", "but is '/nowhere'" },
        { "ControlSocketPath", "relative", "but is 'relative'" },
        { "ControlSocketPath", "/tmp/" + new string('x', 103), "(108 bytes)" },
    };

    [Theory]
    [MemberData(nameof(BadBytes))]
    public async Task ControlSocket_BadBytes_RefusedByNameAndServedOn(string what, byte[] bytes, string words)
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory);
        using var peer = await ConnectAsync(directory);

        await peer.SendAsync(bytes, SocketFlags.None).OrHang();

        var log = await app.Output.HearAsync("Control socket: refused process");
        Assert.Contains($"process {Environment.ProcessId} of uid {Tools.UserId}", log, StringComparison.Ordinal);
        Assert.True(log.Contains(words, StringComparison.Ordinal), $"{what}: {log}");
        await AssertHandsOffAsync(directory, app);
    }

    [Theory]
    [InlineData("[]", "has none of the listeners offered")]
    [InlineData("""[{"name":"x","address":"x","adoptedFrom":"tcp:1.2.3.4:5"}]""", "'tcp:1.2.3.4:5', which was not offered")]
    public async Task ControlSocket_SuccessorThatTookNoListener_RefusedAndServedOn(string listeners, string words)
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory);
        using var peer = await ConnectAsync(directory);

        await peer.SendAsync(Frame("""{"type":"hello","version":1,"minVersion":1,"processId":1}"""), SocketFlags.None).OrHang();
        await peer.SendAsync(Frame($$"""{"type":"ready","listeners":{{listeners}}}"""), SocketFlags.None).OrHang();

        Assert.Contains(words, await app.Output.HearAsync("this instance goes on serving"), StringComparison.Ordinal);
        await AssertHandsOffAsync(directory, app);
    }

    [Fact]
    public async Task ControlSocket_SilentPeers_DoNotHoldUpASuccessor()
    {
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory);
        using var first = await ConnectAsync(directory);
        using var second = await ConnectAsync(directory);

        await AssertHandsOffAsync(directory, app);
    }

    [Fact]
    public async Task ControlSocket_ForeignUser_RefusedWithBothUids()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "becoming another user needs root");
        Assert.SkipUnless(Tools.Has("python3"), "python3 is not installed");
        await using var directory = new TestDirectory();
        var app = await ServeAsync(directory);
        const UnixFileMode everybody = (UnixFileMode)0b111_111_111;
        File.SetUnixFileMode(directory.Path, everybody);
        File.SetUnixFileMode(Path.GetDirectoryName(directory.ControlPath)!, everybody);
        File.SetUnixFileMode(directory.ControlPath, everybody);
        await using var peer = ChildProcess.Start("python3", "-c", ForeignHello, directory.ControlPath);

        var answer = await peer.HearAsync("answer");

        Assert.Contains("uid 65534 may not take over from uid 0.", answer, StringComparison.Ordinal);
        await app.Output.HearAsync("of uid 65534. uid 65534 may not take over from uid 0.");
        Assert.Equal("1", await (await app.ClientAsync()).TextAsync("/"));
    }

    [Theory]
    [MemberData(nameof(BadOptions))]
    public async Task Start_OptionOutOfRange_EndsWithItsNameAndValue(string option, string value, string words)
    {
        await using var directory = new TestDirectory();

        var app = directory.Start($"--SocketHandoff:{option}={value}");

        Assert.NotEqual(0, await app.ExitCodeAsync());
        await app.Error.EndAsync();
        Assert.Contains(option.Split(':')[0], app.Error.Text, StringComparison.Ordinal);
        Assert.Contains(words, app.Error.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ControlDirectoryWritableByOthers_EndsWithItsNameAndMode()
    {
        await using var directory = new TestDirectory();
        var open = Directory.CreateDirectory(directory.File("open")).FullName;
        File.SetUnixFileMode(open, (UnixFileMode)0b111_111_111);

        var app = directory.Start($"--SocketHandoff:ControlSocketPath={open}/s");

        Assert.NotEqual(0, await app.ExitCodeAsync());
        await app.Error.EndAsync();
        Assert.Contains($"'{open}' of the control socket can be written by others (mode 777)", app.Error.Text, StringComparison.Ordinal);
    }

    private static Task<AppProcess> ServeAsync(TestDirectory directory) => directory.ServeAsync(
        "--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", $"--SocketHandoff:ControlSocketPath={directory.ControlPath}");

    private static async Task AssertHandsOffAsync(TestDirectory directory, AppProcess app)
    {
        var client = await app.ClientAsync();
        Assert.Equal("1", await client.TextAsync("/"));
        await client.HandOffAsync();
        Assert.Equal("2", await client.TextAsync("/"));
        Assert.Equal(0, await app.ExitCodeAsync());
        Assert.Single(directory.Processes());
    }

    private static async Task<Socket> ConnectAsync(TestDirectory directory)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(directory.ControlPath)).OrHang();
        return socket;
    }

    private static byte[] Frame(string json)
    {
        var frame = new byte[4 + json.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, json.Length);
        Encoding.ASCII.GetBytes(json, frame.AsSpan(4));
        return frame;
    }
}
