using System.Net;
using System.Net.Sockets;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>Instances that anyone starts find each other on the control socket.</summary>
public sealed class IndependentTests
{
    private const string FreePortUrl = "--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0";
    private const string LongProbation = "--SocketHandoff:Probation=00:01:00";
    private const string Listening = "01"; // SS_UNCONNECTED of a socket that listens, /proc/net/unix

    [Fact]
    public async Task Start_SameControlPath_EachTakesOverFromTheOneBefore()
    {
        await using var directory = new TestDirectory();
        var first = Start(directory);
        var address = (await first.ServingAsync(1)).Address;
        var client = first.NewClient(address);
        var socket = InodeOf(directory);

        var second = Start(directory);
        Assert.Equal(address, (await second.ServingAsync(2)).Address);
        Assert.Equal(0, await first.ExitCodeAsync());
        var third = Start(directory);
        Assert.Equal(address, (await third.ServingAsync(3)).Address);
        Assert.Equal(0, await second.ExitCodeAsync());

        Assert.Equal("3", await client.TextAsync("/"));
        Assert.Equal(socket, InodeOf(directory));
        Assert.True(File.Exists(directory.ControlPath));
        TestLibc.Kill(third.ProcessId, TestLibc.SigTerm);
        Assert.Equal(0, await third.ExitCodeAsync());
        Assert.False(File.Exists(directory.ControlPath));
    }

    /// <summary>Who has started it may mean it to end with its terminal, or its process group; a launched one has nobody who did.</summary>
    [Fact]
    public async Task Start_StaysInTheSessionOfWhoStartedIt_ALaunchedOneDoesNot()
    {
        await using var directory = new TestDirectory();
        var first = Start(directory);
        var client = first.NewClient((await first.ServingAsync(1)).Address);
        var second = Start(directory);
        await second.ServingAsync(2);
        Assert.Equal(0, await first.ExitCodeAsync());
        Assert.Equal(TestLibc.SessionOf(Environment.ProcessId), TestLibc.SessionOf(second.ProcessId));

        await client.HandOffAsync();

        var third = (await second.ServingAsync(3)).ProcessId;
        Assert.Equal(third, TestLibc.SessionOf(third));
    }

    [Fact]
    public async Task Start_TwoAtOnce_OneServesAndTheOtherLeaves()
    {
        await using var directory = new TestDirectory();
        AppProcess[] both = [Start(directory), Start(directory)];

        // The second is refused while the first starts, or takes over from it: either way one is left, and answers at the path.
        await Task.WhenAny(both.Select(app => app.ExitCodeAsync()));

        var left = Assert.Single(directory.Processes());
        Assert.True(File.Exists(directory.ControlPath));
        var third = Start(directory);
        var serving = await third.HearAsync("serving", both.Single(app => app.ProcessId == left).Output.Text.Contains("serving 2", StringComparison.Ordinal) ? 3 : 2);
        Assert.Equal(third.ProcessId, serving.ProcessId);
    }

    [Fact]
    public async Task Start_WhileAHandoffRuns_RefusedWithWhoAndSince()
    {
        await using var directory = new TestDirectory();
        var blue = Start(directory);
        var client = blue.NewClient((await blue.ServingAsync(1)).Address);
        directory.SetFault("hang-in-start");
        var green = Start(directory);
        await green.Output.HearAsync("hangs ");

        var red = Start(directory);

        Assert.NotEqual(0, await red.ExitCodeAsync());
        await red.Error.EndAsync();
        Assert.Matches($@"A handoff to process {green.ProcessId} is under way: Offering since \d\d:\d\d:\d\dZ", red.Error.Text + red.Output.Text);
        Assert.Equal("1", await client.TextAsync("/"));
        directory.SetFault("");
        await green.ServingAsync(2);
    }

    [Fact]
    public async Task Start_WhileASuccessorIsBeingLaunched_Refused_AndTheLaunchedOneTakesOver()
    {
        await using var directory = new TestDirectory();
        var blue = Start(directory, isEverFaulty: false);
        var client = blue.NewClient((await blue.ServingAsync(1)).Address);
        directory.SetFault("hang-before-hello");
        var posting = client.PostHandoffAsync();
        await blue.Output.HearAsync("hangs ");

        var red = Start(directory, isEverFaulty: false);

        Assert.NotEqual(0, await red.ExitCodeAsync());
        await red.Error.EndAsync();
        Assert.Matches(@"A handoff is under way: Launching since \d\d:\d\d:\d\dZ", red.Error.Text + red.Output.Text);
        directory.SetFault("");
        Assert.Equal(HttpStatusCode.OK, (await posting).Status);
        await blue.ServingAsync(2);
    }

    [Fact]
    public async Task Start_SameBuildWasRolledBackTooOften_Refused()
    {
        await using var directory = new TestDirectory();
        var blue = Start(directory, FreePortUrl, "--SocketHandoff:MaxFailures=1", LongProbation);
        var client = blue.NewClient((await blue.ServingAsync(1)).Address);
        var green = Start(directory);
        await green.ServingAsync(2);
        directory.SetFault("sick");
        Assert.NotEqual(0, await green.ExitCodeAsync());

        var again = Start(directory); // as a supervisor does

        Assert.NotEqual(0, await again.ExitCodeAsync());
        await again.Error.EndAsync();
        Assert.Contains("The last 1 handoffs to this build have failed", again.Error.Text + again.Output.Text, StringComparison.Ordinal);
        Assert.Equal("1", await client.TextAsync("/"));
    }

    [Fact]
    public async Task Successor_ToldToStopOnProbation_EndsWithoutAnError()
    {
        await using var directory = new TestDirectory();
        var blue = Start(directory, FreePortUrl, LongProbation);
        var client = blue.NewClient((await blue.ServingAsync(1)).Address);
        var green = Start(directory);
        await green.ServingAsync(2);

        TestLibc.Kill(green.ProcessId, TestLibc.SigTerm);

        Assert.Equal(0, await green.ExitCodeAsync());
        Assert.Equal("1", await client.TextAsync("/"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Predecessor_ToldToStopWhileTheSuccessorStarts_SuccessorServesAlone(bool onUnixPath)
    {
        await using var directory = new TestDirectory();
        EndPoint endPoint = onUnixPath ? new UnixDomainSocketEndPoint(directory.File("web")) : new IPEndPoint(IPAddress.Loopback, FreePort.Next());
        string[] urls = [$"--Kestrel:Endpoints:Main:Url=http://{(onUnixPath ? $"unix:{endPoint}" : endPoint)}"];
        var blue = Start(directory, urls);
        await blue.ServingAsync(1);
        directory.SetFault("hang-in-start");
        var green = Start(directory, urls);
        await green.Output.HearAsync("hangs ");

        TestLibc.Kill(blue.ProcessId, TestLibc.SigTerm);
        Assert.Equal(0, await blue.ExitCodeAsync());
        await using var waiting = await RawHttp.ConnectAsync(endPoint); // in the backlog, which lives on
        directory.SetFault("");

        Assert.Equal("2", (await waiting.GetAsync("/")).Body);
        await green.ServingAsync(2);
        await Start(directory, urls).ServingAsync(3);
    }

    [Fact]
    public async Task Start_PredecessorWasKilled_StartsAnewOverTheStaleSocket()
    {
        await using var directory = new TestDirectory();
        var blue = Start(directory);
        await blue.ServingAsync(1);
        TestLibc.Kill(blue.ProcessId, TestLibc.SigKill);
        await blue.ExitCodeAsync();
        Assert.True(File.Exists(directory.ControlPath));

        var green = Start(directory);

        var serving = await green.ServingAsync(1);
        Assert.Contains($"Nobody serves at the control socket {directory.ControlPath}", green.Output.Text, StringComparison.Ordinal);
        Assert.Equal("1", await green.NewClient(serving.Address).TextAsync("/"));
        await Start(directory).ServingAsync(2);
    }

    [Fact]
    public async Task Successor_KilledBeforeReady_PredecessorServesOnAndHandsOffToTheNext()
    {
        await using var directory = new TestDirectory();
        var blue = Start(directory);
        var client = blue.NewClient((await blue.ServingAsync(1)).Address);
        directory.SetFault("hang-in-start");
        var green = Start(directory);
        await green.Output.HearAsync("hangs ");

        TestLibc.Kill(green.ProcessId, TestLibc.SigKill);

        await blue.Output.HearAsync("failed while Offering; this instance goes on serving.");
        Assert.Equal("1", await client.TextAsync("/"));
        client.Dispose(); // its idle connection would hold blue to the drain's deadline
        directory.SetFault("");
        await Start(directory).ServingAsync(2);
        Assert.Equal(0, await blue.ExitCodeAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Predecessor_KilledWhileTheSuccessorStarts_SuccessorServesAloneOnTheSamePort(bool isIndependent)
    {
        await using var directory = new TestDirectory();
        var blue = isIndependent ? Start(directory) : directory.Start();
        var address = (await blue.ServingAsync(1)).Address;
        directory.SetFault("hang-in-start");
        var green = isIndependent ? Start(directory) : blue;
        await using var asker = await RawHttp.ConnectAsync(new Uri(address)); // it never asks again by itself
        await asker.WriteAsync(isIndependent ? "" : "POST /admin/handoff HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        await green.Output.HearAsync("hangs ");

        TestLibc.Kill(blue.ProcessId, TestLibc.SigKill);
        await blue.ExitCodeAsync();
        await using var waiting = await RawHttp.ConnectAsync(new Uri(address)); // in the backlog, which lives on
        directory.SetFault("");

        Assert.Equal("2", (await waiting.GetAsync("/")).Body);
        Assert.Equal(address, (await green.ServingAsync(2)).Address);
        await green.Output.HearAsync("The predecessor is gone and left no word; this instance serves on its listeners.");
    }

    private static AppProcess Start(TestDirectory directory, params string[] arguments) => Start(directory, isEverFaulty: true, arguments);

    /// <param name="directory">Has the control path, and the fault.</param>
    /// <param name="isEverFaulty">The fault goes for an instance started here, too, and not only for one that is launched.</param>
    /// <param name="arguments">More of them.</param>
    private static AppProcess Start(TestDirectory directory, bool isEverFaulty, params string[] arguments)
    {
        var environment = new Dictionary<string, string> { ["SocketHandoff__ControlSocketPath"] = directory.ControlPath };
        if (isEverFaulty)
        {
            environment["TESTAPP_FAULT_ALWAYS"] = "1";
        }

        return directory.Start(new AppSettings { Environment = environment, Arguments = arguments });
    }

    /// <summary>The one listening socket in the control directory: the kernel shows the name at bind(2), not the one the file has now.</summary>
    private static string InodeOf(TestDirectory directory) => File.ReadLines("/proc/net/unix")
        .Where(line => line.Contains(Path.GetDirectoryName(directory.ControlPath)!, StringComparison.Ordinal))
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Single(words => words[5] == Listening)[6];
}
