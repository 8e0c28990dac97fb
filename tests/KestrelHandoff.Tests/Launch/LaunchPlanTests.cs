using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Launch;

namespace KestrelHandoff.Tests.Launch;

public sealed class LaunchPlanTests : IDisposable
{
    private readonly TempDirectory _directory = new();

    [Fact]
    public void Make_RelativeProgram_IsFoundFromTheDirectory()
    {
        var app = Write("bin/app");
        var plan = LaunchPlan.Make(Started(["bin/app", "--urls", "http://*:80", ""]), new());
        Assert.Equal(app, Path.GetFullPath(plan.Executable));
        Assert.Equal(["--urls", "http://*:80", ""], plan.Arguments);
        Assert.Equal(_directory.Path, plan.WorkingDirectory);
    }

    [Fact]
    public void Make_AbsoluteProgram_IsItself() => Assert.Equal(Write("app"), LaunchPlan.Make(Started([Write("app")]), new()).Executable);

    [Fact]
    public void Make_ProgramWithoutASlash_IsTheFirstOnPath()
    {
        Write("here");
        Directory.CreateDirectory(_directory["one/here"]); // a directory is no program
        var second = Write("two/here");
        Write("three/here");
        var plan = LaunchPlan.Make(Started(["here"], ("PATH", $"{_directory["none"]}:{_directory["one"]}:two:{_directory["three"]}")), new());
        Assert.Equal(second, plan.Executable);
    }

    [Fact]
    public void Make_CurrentSymlinkMovedSinceTheStart_IsFollowedNow()
    {
        Write("v1/app");
        Write("v2/app");
        Directory.CreateSymbolicLink(_directory["current"], "v1");
        var started = new StartedAs(["./app"], _directory["current"], new Dictionary<string, string>());
        File.Delete(_directory["current"]);
        Directory.CreateSymbolicLink(_directory["current"], "v2");

        var plan = LaunchPlan.Make(started, new());
        Assert.Equal("v2/app", File.ReadAllText(plan.Executable));
        Assert.Equal("v2/app", File.ReadAllText(Path.Combine(plan.WorkingDirectory, "app")));
    }

    [Theory]
    [InlineData("app")]
    [InlineData("app.dll")] // what an apphost runs
    [InlineData("other.dll")] // what "dotnet other.dll" runs
    [InlineData("library.dll")]
    [InlineData("appsettings.Production.json")]
    public void Build_FileOfTheCommandLineReplaced_IsAnother(string replaced)
    {
        Write("app");
        Write("app.dll");
        Write("other.dll");
        Write("library.dll");
        Write("appsettings.Production.json");
        var started = Started(["./app", "other.dll", "--urls"]);
        var before = LaunchPlan.Make(started, new()).DigestBuild();
        Assert.Equal(before, LaunchPlan.Make(started, new()).DigestBuild());
        File.AppendAllText(_directory[replaced], "new");
        Assert.NotEqual(before, LaunchPlan.Make(started, new()).DigestBuild());
    }

    [Fact]
    public void Make_ExecutableOption_ReplacesTheWholeCommandLine()
    {
        var other = Write("other");
        var options = new SocketHandoffOptions { Executable = "./other", Arguments = { "-x" } };
        var plan = LaunchPlan.Make(Started(["gone", "--was"]), options);
        Assert.Equal(other, Path.GetFullPath(plan.Executable));
        Assert.Equal(["-x"], plan.Arguments);
    }

    [Fact]
    public void Make_ArgumentsOptionAlone_IsIgnored()
    {
        var options = new SocketHandoffOptions { Arguments = { "-x" } };
        Assert.Equal(["--was"], LaunchPlan.Make(Started([Write("app"), "--was"]), options).Arguments);
    }

    [Fact]
    public void Make_NotExecutableOnPath_IsPassedOver()
    {
        var plain = Write("one/app");
        File.SetUnixFileMode(plain, UnixFileMode.UserRead);
        var app = Write("two/app");
        var plan = LaunchPlan.Make(Started(["app"], ("PATH", $"{_directory["one"]}:{_directory["two"]}")), new SocketHandoffOptions());
        Assert.Equal(app, Path.GetFullPath(plan.Executable));
    }

    [Fact]
    public void Make_WorkingDirectoryOption_TypedProgramIsStillFoundWhereItWasTyped()
    {
        var app = Write("app");
        Write("elsewhere/app");
        var plan = LaunchPlan.Make(Started(["./app"]), new SocketHandoffOptions { WorkingDirectory = _directory["elsewhere"] });
        Assert.Equal(app, Path.GetFullPath(plan.Executable));
    }

    [Fact]
    public void Make_WorkingDirectoryOption_ReplacesTheDirectory()
    {
        var app = Write("elsewhere/app");
        var options = new SocketHandoffOptions { WorkingDirectory = _directory["elsewhere"], Executable = "./app" };
        var plan = LaunchPlan.Make(Started(["x"]), options);
        Assert.Equal(_directory["elsewhere"], plan.WorkingDirectory);
        Assert.Equal(app, Path.GetFullPath(plan.Executable));
    }

    [Fact]
    public void Make_Environment_IsThatOfTheStartWithoutWhatWasForThisProcessAlone()
    {
        var started = Started(
            [Write("app")],
            ("A", "1"), ("B", "2"), ("listen_fds", "kept"), ("LISTEN_ADDRESS", "kept"),
            ("LISTEN_PID", "7"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web"), ("LISTEN_PIDFDID", "9"),
            ("KESTREL_HANDOFF_SOCKET", "/x"), ("KESTREL_HANDOFF_TOKEN", "secret"));
        var options = new SocketHandoffOptions { Environment = { ["B"] = "3", ["C"] = "4" } };
        Assert.Equal(
            [("A", "1"), ("B", "3"), ("C", "4"), ("LISTEN_ADDRESS", "kept"), ("listen_fds", "kept")],
            LaunchPlan.Make(started, options).Environment.Select(pair => (pair.Key, pair.Value)).OrderBy(pair => pair.Key, StringComparer.Ordinal));
    }

    [Fact]
    public void Make_PathOption_IsWhereTheProgramIsLookedUp()
    {
        var app = Write("two/app");
        var options = new SocketHandoffOptions { Environment = { ["PATH"] = _directory["two"] } };
        Assert.Equal(app, LaunchPlan.Make(Started(["app"], ("PATH", "/nowhere")), options).Executable);
    }

    [Theory]
    [InlineData("./gone")]
    [InlineData("gone")]
    [InlineData("/nowhere/gone")]
    public void Make_ProgramMissing_NamesItAndTheRemedy(string program)
    {
        var failed = Assert.Throws<HandoffException>(() => LaunchPlan.Make(Started([program], ("PATH", "/nowhere")), new()));
        Assert.Equal(HandoffFailure.LaunchFailed, failed.Failure);
        AssertNames(failed, $"'{program}'", _directory.Path, "'/nowhere'", "SocketHandoff:Executable");
    }

    [Fact]
    public void Make_NoPathAtAll_NamesTheProgram() =>
        AssertNames(Assert.Throws<HandoffException>(() => LaunchPlan.Make(Started(["gone"]), new())), "'gone'");

    [Fact]
    public void Make_DirectoryMissing_NamesItAndTheRemedy()
    {
        var started = new StartedAs(["app"], _directory["gone"], new Dictionary<string, string>());
        var failed = Assert.Throws<HandoffException>(() => LaunchPlan.Make(started, new()));
        Assert.Equal(HandoffFailure.LaunchFailed, failed.Failure);
        AssertNames(failed, $"'{_directory["gone"]}'", "SocketHandoff:WorkingDirectory");
    }

    public void Dispose() => _directory.Dispose();

    private static void AssertNames(HandoffException failed, params string[] parts) =>
        Assert.All(parts, part => Assert.Contains(part, failed.Message, StringComparison.Ordinal));

    private StartedAs Started(string[] commandLine, params (string Name, string Value)[] environment) =>
        new(commandLine, _directory.Path, environment.ToDictionary(pair => pair.Name, pair => pair.Value, StringComparer.Ordinal));

    private string Write(string name)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_directory[name])!);
        File.WriteAllText(_directory[name], name);
        File.SetUnixFileMode(_directory[name], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return _directory[name];
    }
}
