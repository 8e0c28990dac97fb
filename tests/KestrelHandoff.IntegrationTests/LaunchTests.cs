using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>A successor starts as its predecessor was started, and nothing secret goes further than to it.</summary>
public sealed class LaunchTests
{
    private const string Main = "--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0";

    [Fact]
    public async Task Program_CurrentSymlinkMoved_SuccessorIsTheNewRelease()
    {
        await using var directory = new TestDirectory();
        var (one, two) = (Release(directory, "1"), Release(directory, "2"));
        var current = directory.File("current");
        Directory.CreateSymbolicLink(current, one);
        var app = directory.Start(new AppSettings { Program = [TestApp.ProgramIn(current)] });
        await app.ServingAsync(1);
        var client = await app.ClientAsync();
        Assert.Equal($"{one}/", await client.TextAsync("/program"));
        Directory.CreateSymbolicLink(directory.File("next"), two);
        TestLibc.Rename(directory.File("next"), current);

        await client.HandOffAsync();

        Assert.Equal($"{two}/", await client.TextAsync("/program"));
    }

    [Fact]
    public async Task Environment_ChangedByTheApp_SuccessorHasTheOriginalAndTheDirectory()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings { Environment = new Dictionary<string, string> { ["ORIGINAL"] = "kept" } });
        await app.ServingAsync(1);
        var client = await app.ClientAsync();
        await client.PostTextAsync("/environment/ORIGINAL/changed");
        await client.PostTextAsync("/environment/ADDED/later");

        await client.HandOffAsync();

        Assert.Equal("kept", await client.TextAsync("/environment/ORIGINAL"));
        Assert.Equal("(none)", await client.TextAsync("/environment/ADDED"));
        Assert.Equal(directory.Path, await client.TextAsync("/directory"));
    }

    [Fact]
    public async Task Token_OfTheSuccessor_IsOnNoCommandLineInNoLogAndInNoGrandchild()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync(Main, "--Logging:LogLevel:Default=Trace", "--Logging:LogLevel:Microsoft.AspNetCore=Trace");
        var client = await app.ClientAsync();
        await client.HandOffAsync();
        var successor = (await app.ServingAsync(2)).ProcessId;

        var grandchild = await client.TextAsync("/grandchild-environment");

        var token = File.ReadAllText($"/proc/{successor}/environ").Split('\0').Single(entry => entry.StartsWith("KESTREL_HANDOFF_TOKEN=", StringComparison.Ordinal)).Split('=')[1];
        Assert.Equal(64, token.Length);
        Assert.Contains(TestDirectory.Variable, grandchild, StringComparison.Ordinal);
        Assert.DoesNotContain("KESTREL_HANDOFF_", grandchild, StringComparison.Ordinal);
        Assert.DoesNotContain(token, File.ReadAllText($"/proc/{successor}/cmdline"), StringComparison.Ordinal);
        Assert.DoesNotContain(token, app.Output.Text + app.Error.Text, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Output_NobodyReads_HandsOff()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings { Program = ["bash", "-c", "exec \"$0\" \"$@\" 1> >(exec sed -u '/^serving/q')", TestApp.Program] });
        await app.ServingAsync(1);
        var client = await app.ClientAsync();
        await app.Output.EndAsync();

        for (var generation = 2; generation <= 3; generation++)
        {
            Assert.Equal(generation, (await client.HandOffAsync()).Number("successor.generation"));
        }

        Assert.Equal("3", await client.TextAsync("/"));
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task Output_ClosedAtTheStart_HandsOff()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings
        {
            Program = ["sh", "-c", "exec \"$0\" \"$@\" >&-", TestApp.Program],
            Arguments = [Main, "--Logging:Console:LogToStandardErrorThreshold=Trace", "--Logging:LogLevel:Microsoft.Hosting.Lifetime=Information"],
        });
        var client = app.NewClient((await app.Error.HearAsync("Now listening on: ")).Split(' ')[^1]);

        await client.HandOffAsync();

        Assert.Equal("2", await client.TextAsync("/"));
        Assert.Equal(0, await app.ExitCodeAsync());
    }

    [Fact]
    public async Task Priority_MayNotBeRaised_SuccessorHasThatOfItsPredecessor()
    {
        string[] without = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]; // root, but of that; others may not anyway
        Assert.SkipUnless(Tools.Has("setpriv"), "setpriv is not installed");
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings { Program = Tools.UserId == 0 ? [.. without, TestApp.Program] : [TestApp.Program] });
        var nice = NiceOf((await app.ServingAsync(1)).ProcessId);
        var client = await app.ClientAsync();

        await client.HandOffAsync();

        Assert.Equal(nice, NiceOf((await app.ServingAsync(2)).ProcessId));

        // proc_pid_stat(5), the 19th field; the second is the name, in brackets
        static string NiceOf(int process) => File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1].Split(' ')[19 - 3];
    }

    [Fact]
    public async Task Post_ToPid1_NotImplemented()
    {
        Assert.SkipUnless(Tools.Has("unshare"), "unshare is not installed");
        await using var probe = ChildProcess.Start("unshare", "--fork", "--pid", "--mount-proc", "true");
        Assert.SkipUnless((await probe.EndAsync()).ExitCode == 0, "a PID namespace of its own is not permitted here");
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings { Program = ["unshare", "--fork", "--pid", "--mount-proc", TestApp.Program] });
        Assert.Equal(1, (await app.ServingAsync(1)).ProcessId);
        var client = await app.ClientAsync();

        var answer = await client.PostHandoffAsync();

        Assert.Equal(HttpStatusCode.NotImplemented, answer.Status);
        Assert.Contains("This instance is PID 1", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal("1", await client.TextAsync("/"));
    }

    [Fact]
    public async Task Post_ToTheMainProcessOfASystemdUnit_NotImplemented_UnlessForced()
    {
        await using var directory = new TestDirectory();
        var app = directory.Start(new AppSettings { Program = ["sh", "-c", """SYSTEMD_EXEC_PID=$$ exec "$0" "$@" """, TestApp.Program] });
        var main = (await app.ServingAsync(1)).ProcessId;
        var client = await app.ClientAsync();

        var answer = await client.PostHandoffAsync();
        var forced = await client.PostHandoffAsync("?force=true");

        Assert.Equal(HttpStatusCode.NotImplemented, answer.Status);
        Assert.Contains($"process {main}, is the main process of a systemd unit", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, forced.Status);
        await client.HandOffAsync(); // the successor is not that process
    }

    private static string Release(TestDirectory directory, string version)
    {
        var release = Directory.CreateDirectory(directory.File($"release-{version}")).FullName;
        foreach (var file in Directory.EnumerateFiles(TestApp.Directory))
        {
            File.Copy(file, Path.Combine(release, Path.GetFileName(file)));
        }

        return release;
    }
}
