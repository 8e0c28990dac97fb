using System.Net.Sockets;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>
/// Each message of the protocol × each fault, at the moment when the message has been said and not yet heard, under load. Afterwards one instance serves,
/// nobody was refused, no process is left over; and the next handoff works, for the survivor is the predecessor of the next row.
/// </summary>
public sealed class FaultTableTests
{
    private const string Garbage = "\0\0\0\u0009{\"type\":";

    /// <summary>Up to the point of no return, in the order of the protocol.</summary>
    private static readonly string[] UntilConfirmed =
        ["hello", "welcome", "offer", "ready", "probe", "commit", "accepting", "check", "checked", "confirm", "confirmed"];

    private static readonly string[] All = [.. UntilConfirmed, "migrate", "migrated"];

    /// <summary>The worst that a client may see.</summary>
    private enum Lost
    {
        /// <summary>Every request is answered.</summary>
        Nothing,

        /// <summary>Requests of an instance that is killed.</summary>
        Requests,

        /// <summary>Also connects: nobody else had the listener.</summary>
        Connects,
    }

    [Fact]
    public Task Predecessor_Killed_SuccessorServes() => RunAsync(All, message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Predecessor.ProcessId, TestLibc.SigKill);
            return LeavesNothing(message) ? null : frame;
        },
        SuccessorServes = true,
        StartsAnew = LeavesNothing(message),
        Lost = LeavesNothing(message) ? Lost.Connects : Lost.Requests,
    });

    [Fact]
    public Task Successor_Killed_PredecessorServes() => RunAsync(UntilConfirmed, message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigKill);
            return message == "confirmed" ? [] : frame; // heard, it would make this the kill of the only instance
        },
        Lost = Lost.Requests,
    });

    [Fact]
    public Task Successor_Hangs_PredecessorServesAndTheSuccessorLeavesWhenItCan() => RunAsync(UntilConfirmed, message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigStop);
            return message is "ready" or "accepting" or "checked" or "confirmed" ? [] : frame; // it hung before it could say so
        },
        Recover = async pair =>
        {
            await pair.Predecessor.Output.HearAsync("; this instance "); // "goes on serving", "accepts again"
            TestLibc.Kill(pair.Successor.ProcessId, TestLibc.SigCont);
        },
        Lost = Lost.Requests,
    });

    [Fact]
    public Task Predecessor_StandsStill_HandoffGoesOn() => RunAsync(All, message => new Fault
    {
        Meet = (pair, frame) =>
        {
            TestLibc.Kill(pair.Predecessor.ProcessId, TestLibc.SigStop);
            return frame;
        },
        Recover = async pair =>
        {
            if (Array.IndexOf(All, message) >= Array.IndexOf(All, "accepting"))
            {
                await pair.AnsweredByAsync(pair.Generation + 1); // meanwhile the successor serves
            }

            TestLibc.Kill(pair.Predecessor.ProcessId, TestLibc.SigCont);
        },
        SuccessorServes = true,
    });

    /// <summary>Cut at <c>confirmed</c> neither can know whether it is the one, and both serve: not a row, for two are left.</summary>
    [Theory]
    [InlineData("closed")]
    [InlineData("closed in the middle")]
    [InlineData("garbled")]
    public Task Line_TamperedWith_NoClientNotices(string how) => RunAsync([.. All.Where(message => how == "garbled" || message != "confirmed")], message => new Fault
    {
        Meet = (_, frame) => how switch
        {
            "closed" => null,
            "closed in the middle" => frame[..(frame.Length / 2)],
            _ => Garble(frame),
        },
        SuccessorServes = message is "migrate" or "migrated",
    });

    /// <summary>Before it has offered everything, the predecessor leaves nothing to go on with: the successor binds anew.</summary>
    private static bool LeavesNothing(string message) => message is "hello" or "welcome" or "offer";

    /// <summary>As long as the message was, so that no end of it is awaited.</summary>
    private static byte[] Garble(byte[] frame)
    {
        var garbled = new byte[Math.Max(frame.Length, Garbage.Length)];
        for (var i = 0; i < Garbage.Length; i++)
        {
            garbled[i] = (byte)Garbage[i];
        }

        return garbled;
    }

    private static async Task RunAsync(string[] messages, Func<string, Fault> faultAt)
    {
        await using var directory = new TestDirectory();
        var address = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        var serving = Start(directory, address);
        await serving.ServingAsync(1);
        var generation = 1;
        var lost = Lost.Nothing;
        await using var load = ClientLoop.Start(() => AskAsync(address, () => lost));
        foreach (var message in messages)
        {
            var fault = faultAt(message);
            lost = fault.Lost;
            await using var idle = await RawHttp.ConnectAsync(address); // so that there is something to migrate
            Assert.Equal($"{generation}", (await idle.GetAsync("/")).Body);
            Pair? pair = null;
            await using var proxy = new ControlProxy(directory.ControlPath, message, frame => fault.Meet(pair!, frame));
            pair = new Pair(address, generation, serving, Start(directory, address));

            await proxy.Reached.OrHang();
            await (fault.Recover?.Invoke(pair) ?? Task.CompletedTask);

            (serving, var gone) = fault.SuccessorServes ? (pair.Successor, pair.Predecessor) : (pair.Predecessor, pair.Successor);
            generation = fault.StartsAnew ? 1 : fault.SuccessorServes ? generation + 1 : generation;
            await gone.ExitCodeAsync();
            Assert.True(directory.Processes() is [var left] && left == serving.ProcessId, message);
            await pair.AnsweredByAsync(generation);
            await CanHandOffAsync(directory, address);
            await load.AnsweredAsync(2);
        }

        await load.StopAsync();
    }

    private static AppProcess Start(TestDirectory directory, Uri address) => directory.Start(
        $"--Kestrel:Endpoints:Main:Url={address}",
        $"--SocketHandoff:ControlSocketPath={directory.ControlPath}",
        "--SocketHandoff:Probation=00:00:00.2",
        "--SocketHandoff:WarmUpRequests=0",
        "--SocketHandoff:DrainTimeout=00:00:05",
        "--SocketHandoff:ExchangeTimeout=00:00:04",
        "--SocketHandoff:CommitTimeout=00:00:04",
        "--SocketHandoff:ProbeTimeout=00:00:06",
        "--SocketHandoff:ReadyTimeout=00:00:10");

    /// <summary>Waits until the survivor has done with this row: it answers at the control path, and no handoff is under way.</summary>
    private static async Task CanHandOffAsync(TestDirectory directory, Uri address)
    {
        while (!await IsAnsweredAsync(directory.ControlPath))
        {
        }

        await using var status = await RawHttp.ConnectAsync(address);
        while (!(await status.GetAsync("/admin/handoff")).Body.Contains("\"phase\": \"serving\"", StringComparison.Ordinal))
        {
        }
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
    private static async Task<string?> AskAsync(Uri address, Func<Lost> mayBeLost)
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

    private sealed record Fault
    {
        /// <summary>What is passed on in the place of the message, see <see cref="ControlProxy"/>.</summary>
        public required Func<Pair, byte[], byte[]?> Meet { get; init; }

        /// <summary>What the test does when it has happened.</summary>
        public Func<Pair, Task>? Recover { get; init; }

        /// <summary>Afterwards; else the predecessor does.</summary>
        public bool SuccessorServes { get; init; }

        /// <summary>As generation 1.</summary>
        public bool StartsAnew { get; init; }

        public Lost Lost { get; init; }
    }

    private sealed record Pair(Uri Address, int Generation, AppProcess Predecessor, AppProcess Successor)
    {
        /// <summary>Waits until a connection is answered by that generation.</summary>
        public async Task AnsweredByAsync(int generation)
        {
            while (await AskAsync(Address, () => Lost.Connects) != $"{generation}") // the load says what was lost
            {
            }
        }
    }
}
