using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>Whatever becomes of the successor before the commit, the predecessor serves on and the next handoff works.</summary>
public sealed class FailureTests
{
    private const int Rounds = 2;

    public static TheoryData<string, HttpStatusCode, string, int?, string> Faults => new()
    {
        { "throw", HttpStatusCode.BadGateway, "successorExited", 134, "The test wants this start to fail." },
        { "exit 3", HttpStatusCode.BadGateway, "successorExited", 3, "The test wants this process to exit." },
        { "noisy-exit", HttpStatusCode.BadGateway, "successorExited", 1, "noise 1999" },
        { "hang-before-hello", HttpStatusCode.GatewayTimeout, "timeout", null, "hangs " },
        { "hang-in-start", HttpStatusCode.GatewayTimeout, "timeout", null, "hangs " },
        { "unhealthy", HttpStatusCode.GatewayTimeout, "timeout", null, "health checks fail: fault" },
        { "answer-500", HttpStatusCode.BadGateway, "probeFailed", null, "" },
        { "exit-when-asked 7", HttpStatusCode.BadGateway, "successorExited", 7, "" },
        { "answer-late", HttpStatusCode.GatewayTimeout, "timeout", null, "hangs " },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Post_SuccessorFails_AnswerSaysWhyAndPredecessorServesOn(
        string fault, HttpStatusCode status, string failure, int? exitCode, string output)
    {
        await using var directory = new TestDirectory();
        var app = StartImpatient(directory, fault);
        var first = await app.ServingAsync(1);
        var client = await app.ClientAsync();
        await using var others = ClientLoop.Start(async () => Assert.Equal("1", await RawHttp.GetOnceAsync(client.BaseAddress!)));
        await others.AnsweredAsync(1);

        directory.SetFault(fault);
        var answer = await client.PostHandoffAsync();

        await others.AnsweredAsync(2);
        await others.StopAsync();
        Assert.Equal((status, "application/problem+json"), (answer.Status, answer.ContentType));
        Assert.Equal(("failed", failure), (answer.Text("report.outcome"), answer.Text("report.failure")));
        Assert.Equal(exitCode, answer.Json.TryGetProperty("exitCode", out var code) ? code.GetInt32() : null);
        Assert.Contains(output, answer.Text("startupOutput"), StringComparison.Ordinal);
        Assert.EndsWith("This instance goes on serving.", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal([first.ProcessId], directory.Processes());
        await AssertNextHandoffWorksAsync(directory, app, client);
    }

    [Theory]
    [InlineData("exit 3")]
    [InlineData("hang-before-hello")]
    [InlineData("answer-500")]
    public async Task Post_FailsAgainAndAgain_LeavesNoDescriptorBehind(string fault)
    {
        await using var directory = new TestDirectory();
        var app = StartImpatient(directory, fault);
        await app.ServingAsync(1);
        var client = await app.ClientAsync();
        directory.SetFault(fault);
        await client.PostHandoffAsync(); // what is opened once and for all
        var before = app.Descriptors;

        for (var round = 0; round < Rounds; round++)
        {
            await client.PostHandoffAsync();
        }

        Assert.Equal(before, app.Descriptors);
        await AssertNextHandoffWorksAsync(directory, app, client);
    }

    [Fact]
    public async Task Post_HealthyAfterAWhile_HandsOffThen()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        var client = await app.ClientAsync();
        directory.SetFault("unhealthy");
        var running = client.HandOffAsync();
        await app.Output.HearAsync("health checks fail: fault");

        directory.SetFault("");

        await running;
        await app.ServingAsync(2);
    }

    [Fact]
    public async Task Post_ExecutableMissing_BadGatewayNamesIt()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync(
            "--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0", "--SocketHandoff:Executable=/nowhere/app");
        var client = await app.ClientAsync();

        var answer = await client.PostHandoffAsync();

        Assert.Equal(HttpStatusCode.BadGateway, answer.Status);
        Assert.Equal("launchFailed", answer.Text("report.failure"));
        Assert.Contains("'/nowhere/app' was not found", answer.Text("detail"), StringComparison.Ordinal);
        Assert.Equal("1", await client.TextAsync("/"));
    }

    [Fact]
    public async Task Post_DescriptorTableFull_BadGatewaySaysSoAndTheNextWorks()
    {
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync();
        var client = await app.ClientAsync();
        await client.TextAsync("/"); // connected while it can be
        var limit = TestLibc.ForbidDescriptors(app.ProcessId, spare: 4); // less than the pipes of a process

        var answer = await client.PostHandoffAsync();

        TestLibc.LimitDescriptors(app.ProcessId, limit);
        Assert.Equal((HttpStatusCode.BadGateway, "launchFailed"), (answer.Status, answer.Text("report.failure")));
        Assert.Contains("oo many open files", answer.Text("detail"), StringComparison.Ordinal);
        await AssertNextHandoffWorksAsync(directory, app, client);
    }

    [Fact]
    public async Task Post_RuntimeDirectoryFull_BadGatewayNamesItAndTheNextWorks()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "a full file system of its own needs root");
        await using var directory = new TestDirectory();
        var runtime = Directory.CreateDirectory(directory.File("runtime")).FullName;
        await ChildProcess.RunAsync("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2,mode=0700", "none", runtime);
        try
        {
            var app = directory.Start(new AppSettings { Environment = new Dictionary<string, string> { ["RUNTIME_DIRECTORY"] = runtime } });
            await app.ServingAsync(1);
            var client = await app.ClientAsync();
            await File.WriteAllTextAsync(Path.Combine(runtime, "last inode"), "", TestContext.Current.CancellationToken);

            var answer = await client.PostHandoffAsync();

            Assert.Equal((HttpStatusCode.BadGateway, "launchFailed"), (answer.Status, answer.Text("report.failure")));
            Assert.Contains(runtime, answer.Text("detail"), StringComparison.Ordinal);
            Assert.Contains("No space left on device", answer.Text("detail"), StringComparison.Ordinal);
            File.Delete(Path.Combine(runtime, "last inode"));
            await AssertNextHandoffWorksAsync(directory, app, client);
        }
        finally
        {
            await ChildProcess.RunAsync("umount", "--lazy", runtime);
        }
    }

    [Fact]
    public async Task Post_WorkingDirectoryGone_BadGatewayNamesIt()
    {
        await using var directory = new TestDirectory();
        var work = Directory.CreateDirectory(directory.File("work")).FullName;
        var app = directory.Start(new AppSettings { WorkingDirectory = work });
        await app.ServingAsync(1);
        var client = await app.ClientAsync();
        Directory.Move(work, directory.File("moved"));

        var answer = await client.PostHandoffAsync();

        Assert.Equal(HttpStatusCode.BadGateway, answer.Status);
        Assert.Contains($"The working directory '{work}' is gone", answer.Text("detail"), StringComparison.Ordinal);
        Directory.Move(directory.File("moved"), work);
        await AssertNextHandoffWorksAsync(directory, app, client);
    }

    /// <summary>With a short limit for what the fault exceeds, and only for that: a loaded machine takes its time.</summary>
    private static AppProcess StartImpatient(TestDirectory directory, string fault)
    {
        var environment = new Dictionary<string, string> { ["SocketHandoff__MaxFailures"] = "0" };
        var limit = fault switch
        {
            "hang-before-hello" => "LaunchTimeout",
            "hang-in-start" or "unhealthy" => "ReadyTimeout",
            "answer-late" => "ProbeTimeout",
            _ => null,
        };
        if (limit is not null)
        {
            environment[$"SocketHandoff__{limit}"] = "00:00:08";
        }

        return directory.Start(new AppSettings { Environment = environment });
    }

    private static async Task AssertNextHandoffWorksAsync(TestDirectory directory, AppProcess app, HttpClient client)
    {
        directory.SetFault("");
        for (var answer = await client.PostHandoffAsync(); answer.Status != HttpStatusCode.OK; answer = await client.PostHandoffAsync())
        {
            // The short limits of these tests can be too short for a loaded machine; nothing else may fail here.
            Assert.Equal("timeout", answer.Text("report.failure"));
        }

        await app.ServingAsync(2);
        Assert.Equal("2", await client.TextAsync("/"));
        Assert.Equal(0, await app.ExitCodeAsync());
    }
}
