using System.Globalization;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>The sample against itself and against Python's send_fds and recv_fds: what is on the wire is plain SCM_RIGHTS.</summary>
public sealed class DescriptorRelayTests : IDisposable
{
    private const string PythonSends = """
        import os, socket, sys
        file = open(sys.argv[2], "rb")
        os.read(file.fileno(), 5)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(sys.argv[1])
            socket.send_fds(s, [b"boy"], [file.fileno()] * int(sys.argv[3]))
            s.recv(1)
        """;

    private const string PythonSendsTwoControlMessages = """
        import array, socket, sys
        rights = lambda path: (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [open_files[path].fileno()]))
        open_files = {path: open(path, "rb") for path in sys.argv[2:]}
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(sys.argv[1])
            s.sendmsg([b"boy"], [rights(sys.argv[2]), rights(sys.argv[3])])
        """;

    private const string PythonReceives = """
        import os, socket, sys
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(sys.argv[1])
            listener.listen()
            print("listening", flush=True)
            connection, _ = listener.accept()
            payload, descriptors, flags, _ = socket.recv_fds(connection, 100, 253)
            print(payload.decode(), len(descriptors), flags & socket.MSG_CTRUNC, *(os.read(fd, 100).decode() for fd in descriptors))
        """;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("relay-");
    private readonly string _socket;

    public DescriptorRelayTests() => _socket = Path.Combine(_directory.FullName, "s");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task Receive_PythonSends_PrintsTextCountAndContent()
    {
        await using var receiver = await ListenAsync("receive", _socket);
        await using var sender = StartPython(PythonSends, _socket, NewFile("hello world"), "1");

        var end = await receiver.EndAsync();

        Assert.Equal((0, "boy\n1\nhello world\n"), (end.ExitCode, end.Output));
        Assert.False(File.Exists(_socket));
    }

    [Fact]
    public async Task Send_PythonReceives_GetsTextAndOpenFiles()
    {
        await using var receiver = StartPython(PythonReceives, _socket);
        await receiver.HearAsync("listening");
        string[] files = [NewFile("hello"), NewFile("world")];
        await using var sender = SampleApp.Start("DescriptorRelay", ["send", _socket, .. files, "--payload", "girl"]);

        Assert.Equal(new ProcessEnd(0, "", ""), await sender.EndAsync());
        Assert.Equal("listening\ngirl 2 0 hello world\n", (await receiver.EndAsync()).Output);
    }

    [Fact]
    public async Task Send_SampleReceivesFromTwo_PrintsBoth()
    {
        await using var receiver = await ListenAsync("receive", _socket, "--count", "2");
        foreach (var content in new[] { "first", "second" })
        {
            await using var sender = SampleApp.Start("DescriptorRelay", "send", _socket, NewFile(content));
            Assert.Equal(new ProcessEnd(0, "", ""), await sender.EndAsync());
            await receiver.HearAsync(content);
        }

        var end = await receiver.EndAsync();

        Assert.Equal((0, "boy\n1\nfirst\nboy\n1\nsecond\n"), (end.ExitCode, end.Output));
        Assert.False(File.Exists(_socket));
    }

    [Fact]
    public async Task Receive_SeveralControlMessages_HasTheDescriptorsOfAll()
    {
        await using var receiver = await ListenAsync("receive", _socket);
        await using var sender = StartPython(PythonSendsTwoControlMessages, _socket, NewFile("hello"), NewFile("world"));

        Assert.Equal("boy\n2\nhello\nworld\n", (await receiver.EndAsync()).Output);
    }

    [Fact]
    public async Task Receive_MoreThanItMayOpen_SaysWhichLimitToRaise()
    {
        // dotnet itself opens some 60; its limit of 150 leaves no room for 253 more.
        string[] command = ["-c", "ulimit -n 150; exec dotnet \"$0\" receive \"$1\"", SampleApp.PathOf("DescriptorRelay"), _socket];
        await using var receiver = ChildProcess.Start("sh", command);
        await receiver.HearAsync("Listening");
        await using var sender = StartPython(PythonSends, _socket, NewFile("hello world"), "253");

        var end = await receiver.EndAsync();

        Assert.Equal((1, ""), (end.ExitCode, end.Output));
        Assert.Contains("may have 150 open: raise RLIMIT_NOFILE", end.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_socket));
    }

    [Fact]
    public async Task Receive_Terminated_LeavesNoSocketFile()
    {
        await using var receiver = await ListenAsync("receive", _socket);
        await using var kill = ChildProcess.Start("sh", "-c", "kill -TERM $0", receiver.Id.ToString(CultureInfo.InvariantCulture));

        Assert.Equal(1, (await receiver.EndAsync()).ExitCode);
        Assert.False(File.Exists(_socket));
    }

    [Fact]
    public async Task Receive_SocketInUse_SaysSoAndLeavesItAlone()
    {
        await using var receiver = await ListenAsync("receive", _socket);
        await FailsAsync("the path is taken", "receive", _socket);
        Assert.True(File.Exists(_socket));
    }

    [Fact]
    public async Task Send_FileIsMissing_SaysWhich()
    {
        await using var receiver = await ListenAsync("receive", _socket);
        await FailsAsync(_socket + ".missing", "send", _socket, _socket + ".missing");
    }

    [Fact]
    public async Task Send_NobodyListens_SaysSo()
    {
        await FailsAsync("'receive'", "send", _socket, NewFile("hello"));
        await FailsAsync("nobody listens", "send", NewFile("no socket"), NewFile("hello"));
    }

    [Theory]
    [InlineData("send")]
    [InlineData("receive")]
    public async Task SendOrReceive_PathTooLong_NamesTheLimit(string command)
    {
        string[] arguments = [command, _socket + new string('x', 108), .. command == "send" ? [NewFile("hello")] : Array.Empty<string>()];
        await FailsAsync("1 to 107 bytes", arguments);
    }

    private static async Task FailsAsync(string message, params string[] arguments)
    {
        await using var relay = SampleApp.Start("DescriptorRelay", arguments);
        var end = await relay.EndAsync();
        Assert.Equal((1, ""), (end.ExitCode, end.Output));
        Assert.Contains(message, Assert.Single(end.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }

    private static async Task<ChildProcess> ListenAsync(params string[] arguments)
    {
        var receiver = SampleApp.Start("DescriptorRelay", arguments);
        await receiver.HearAsync("Listening");
        return receiver;
    }

    private static ChildProcess StartPython(string script, params string[] arguments)
    {
        var paths = Environment.GetEnvironmentVariable("PATH") ?? "";
        Assert.SkipUnless(
            paths.Split(':').Any(path => File.Exists(Path.Combine(path, "python3"))),
            "There is no python3 on the PATH to talk to.");
        return ChildProcess.Start("python3", ["-c", script, .. arguments]);
    }

    private string NewFile(string content)
    {
        var path = Path.Combine(_directory.FullName, Path.GetRandomFileName());
        File.WriteAllText(path, content);
        return path;
    }
}
