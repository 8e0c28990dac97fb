using System.Net.Sockets;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>
/// Each message of the protocol with one fault, at the moment when the message has been said and not yet heard, under load. Afterwards one instance serves,
/// nobody was refused, no process and no descriptor is left over; and the next handoff works, for the survivor is the predecessor of the next row.
/// </summary>
internal static class FaultTable
{
    /// <summary>Of the load and of this table's own questions, which come and go.</summary>
    private const int SpareDescriptors = 6;

    /// <summary>Up to the point of no return, in the order of the protocol.</summary>
    public static readonly string[] UntilConfirmed =
        ["hello", "welcome", "offer", "ready", "probe", "commit", "accepting", "check", "checked", "confirm", "confirmed"];

    public static readonly string[] All = [.. UntilConfirmed, "migrate", "migrated", "draining"];

    /// <summary>Of a roll-back, with a <see cref="Fault.IsSick"/> successor.</summary>
    public static readonly string[] RollBack = ["roll-back", "rolled-back", "draining"];

    /// <summary>For faults that only a limit ends.</summary>
    public static readonly string[] Impatient =
    [
        "--SocketHandoff:ExchangeTimeout=00:00:04",
        "--SocketHandoff:CommitTimeout=00:00:04",
        "--SocketHandoff:ProbeTimeout=00:00:06",
        "--SocketHandoff:ReadyTimeout=00:00:10",
    ];

    public static async Task RunAsync(string[] messages, Func<string, Fault> faultAt, params string[] more)
    {
        await using var directory = new TestDirectory();
        var address = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        var serving = Start(directory, address, more);
        await serving.ServingAsync(1);
        var generation = 1;
        var lost = Lost.Nothing;
        int? descriptors = null;
        await using var load = ClientLoop.Start(() => AskAsync(address, () => lost));
        foreach (var message in messages)
        {
            TestContext.Current.TestOutputHelper!.WriteLine($"at {message}, generation {generation}"); // shown if the row fails
            var fault = faultAt(message);
            lost = fault.Lost;
            await using var idle = await RawHttp.ConnectAsync(address); // so that there is something to migrate
            Assert.Equal($"{generation}", (await idle.GetAsync("/")).Body);
            Pair? pair = null;
            await using var proxy = new ControlProxy(directory.ControlPath, message, frame => fault.Meet(pair!, frame));
            proxy.Passing += type =>
            {
                if (fault.IsSick && type == "accepting")
                {
                    directory.SetFault("sick");
                }
            };
            pair = new Pair(address, generation, serving, Start(directory, address, more));

            await proxy.Reached.OrHang();
            await (fault.Recover?.Invoke(pair) ?? Task.CompletedTask);

            var successorServes = fault.SuccessorServes ?? await pair.DoesSuccessorStayAsync().OrHang();
            (serving, var gone) = successorServes ? (pair.Successor, pair.Predecessor) : (pair.Predecessor, pair.Successor);
            generation = fault.StartsAnew ? 1 : successorServes ? generation + 1 : generation;
            await gone.ExitCodeAsync();
            directory.SetFault("");
            Assert.True(directory.Processes() is [var left] && left == serving.ProcessId, message);
            await pair.AnsweredByAsync(generation).OrHang();
            await CanHandOffAsync(directory, address).OrHang();
            await load.AnsweredAsync(2);
            var open = serving.Descriptors;
            Assert.True(open <= (descriptors ??= open) + SpareDescriptors, $"{message}: {open} descriptors are open, {descriptors} were after the first row.");
        }

        await load.StopAsync();
    }

    public static AppProcess Start(TestDirectory directory, Uri address, params string[] more) => directory.Start(
    [
        $"--Kestrel:Endpoints:Main:Url={address}",
        $"--SocketHandoff:ControlSocketPath={directory.ControlPath}",
        "--SocketHandoff:Probation=00:00:00.2",
        "--SocketHandoff:WarmUpRequests=0",
        "--SocketHandoff:MaxFailures=0",
        "--SocketHandoff:DrainTimeout=00:00:05",
        .. more,
    ]);

    /// <summary>Waits until the survivor has done with this row: it answers at the control path, and no handoff is under way.</summary>
    private static async Task CanHandOffAsync(TestDirectory directory, Uri address)
    {
        await Poll.UntilAsync(() => IsAnsweredAsync(directory.ControlPath));
        await using var status = await RawHttp.ConnectAsync(address);
        await Poll.UntilAsync(async () => (await status.GetAsync("/admin/handoff")).Body.Contains("\"phase\": \"serving\"", StringComparison.Ordinal));
    }

    private static async Task<bool> IsAnsweredAsync(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path)).OrHang();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>The answer; null if it was lost, as it may be.</summary>
    public static async Task<string?> AskAsync(Uri address, Func<Lost> mayBeLost)
    {
        try
        {
            return await RawHttp.GetOnceAsync(address);
        }
        catch (IOException) when (mayBeLost() >= Lost.Requests)
        {
            return null; // it was the killed one's
        }
        catch (SocketException) when (mayBeLost() >= Lost.Connects)
        {
            return null; // the only one that listened was killed
        }
    }
}

/// <summary>The worst that a client may see.</summary>
internal enum Lost
{
    /// <summary>Every request is answered.</summary>
    Nothing,

    /// <summary>Requests of an instance that is killed.</summary>
    Requests,

    /// <summary>Also connects: nobody else had the listener.</summary>
    Connects,
}

/// <summary>What happens to a handoff, and what is to come of it.</summary>
internal sealed record Fault
{
    /// <summary>What is passed on in the place of the message, see <see cref="ControlProxy"/>.</summary>
    public required Func<Pair, byte[], Task<byte[]?>> Meet { get; init; }

    /// <summary>What the test does when it has happened.</summary>
    public Func<Pair, Task>? Recover { get; init; }

    /// <summary>Afterwards; else the predecessor does. Null: the one or the other.</summary>
    public bool? SuccessorServes { get; init; } = false;

    /// <summary>The successor's health check fails as soon as it serves, so that it is rolled back.</summary>
    public bool IsSick { get; init; }

    /// <summary>As generation 1.</summary>
    public bool StartsAnew { get; init; }

    public Lost Lost { get; init; }
}

/// <summary>The two instances of a row.</summary>
internal sealed record Pair(Uri Address, int Generation, AppProcess Predecessor, AppProcess Successor)
{
    /// <summary>The limit of descriptors before the fault.</summary>
    public ulong Limit { get; set; }

    public async Task<bool> DoesSuccessorStayAsync()
    {
        var predecessor = Predecessor.ExitCodeAsync();
        return await Task.WhenAny(predecessor, Successor.ExitCodeAsync()) == predecessor;
    }

    /// <summary>Waits until a connection is answered by that generation.</summary>
    public Task AnsweredByAsync(int generation) =>
        Poll.UntilAsync(async () => await FaultTable.AskAsync(Address, () => Lost.Connects) == $"{generation}"); // the load says what was lost
}
