using System.IO.Pipelines;
using System.Text;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelHandoff.Tests.Connections;

/// <summary>A connection on which nothing was said changes hands where it is known that its client speaks first. The test plays the server.</summary>
public sealed class FirstExchangeTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Want_OthersOfItsListenerHaveHadExchanges_GivesTheSocketAway()
    {
        await using var pair = await CreateAsync();
        pair.Connection.Features.Set<IConnectionLifetimeNotificationFeature>(new Server(pair.Connection));
        var read = Read(pair);
        Assert.True(Want(pair));
        Assert.True((await read).IsCanceled);
        pair.Connection.Transport.Input.AdvanceTo((await read).Buffer.Start);
        using var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        Assert.True(released.IsBetweenRequests);
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    [Fact]
    public async Task Want_BeforeItsFirstRead_IsTakenThere()
    {
        await using var pair = await CreateAsync();
        Assert.False(Want(pair));
        Assert.True((await Read(pair)).IsCanceled);
        Assert.True(pair.Connection.IsHeld);
    }

    /// <summary>The client speaks as soon as it is connected, and the server has much to do.</summary>
    [Fact]
    public async Task Want_BeforeItsFirstRead_IsTakenThereWithWhatTheClientHasSentMeanwhile()
    {
        await using var pair = await CreateAsync();
        Assert.False(pair.Connection.Want(static _ => ValueTask.CompletedTask, out var isAwaited));
        Assert.True(isAwaited);
        await SendUnreadAsync(pair);
        await AssertTakenWithWhatWasSentAsync(pair);
    }

    [Fact]
    public async Task Want_ClientHasSpokenAndTheServerHasNotReadIt_IsTakenWithThat()
    {
        await using var pair = await CreateAsync();
        await SendUnreadAsync(pair);
        pair.Connection.Want(static _ => ValueTask.CompletedTask, out var isAwaited);
        Assert.True(isAwaited);
        await AssertTakenWithWhatWasSentAsync(pair);
    }

    [Fact]
    public async Task Want_Again_IsAwaitedOnce()
    {
        await using var pair = await CreateAsync();
        Want(pair);
        _ = Read(pair);
        pair.Connection.Want(static _ => ValueTask.CompletedTask, out var isAwaited);
        Assert.False(isAwaited);
    }

    [Fact]
    public async Task Want_MiddlewareTakesWhatIsThereWithoutWaiting_Stays()
    {
        await using var pair = await CreateAsync();
        Want(pair);
        await pair.SendAsync("PROXY");
        var taken = 0L;
        await Poll.UntilAsync(() =>
        {
            if (pair.Connection.Transport.Input.TryRead(out var result))
            {
                taken += result.Buffer.Length;
                pair.Connection.Transport.Input.AdvanceTo(result.Buffer.End);
            }

            return Task.FromResult(taken == 5);
        });
        await pair.SendAsync("GET");
        Assert.Equal("GET", await pair.Connection.ReadTextAsync(3));
    }

    [Fact]
    public async Task Want_NoExchangeOnItsListener_Stays()
    {
        await using var pair = await CreateAsync(hasExchanges: false);
        _ = Read(pair);
        Assert.False(Want(pair)); // of a protocol of the app's own, perhaps: its handler would not end
        Assert.False(pair.Connection.IsHeld);
    }

    [Fact]
    public async Task BeginExchange_FirstOfAListener_IsKnownToItsOtherConnections()
    {
        await using var pair = await CreateAsync(hasExchanges: false);
        pair.Connection.BeginExchange(hasEnd: false); // as under TLS, or of HTTP/2
        Assert.False(pair.Connection.Origin!.HasExchanges);
        pair.Connection.BeginExchange(); // the one that asks for the handoff, perhaps, and ends after it
        Assert.True(pair.Connection.Origin.HasExchanges);
    }

    [Fact]
    public async Task Want_ServerHasSpokenFirst_Stays()
    {
        await using var pair = await CreateAsync();
        await pair.WriteAsync("SETTINGS");
        Assert.Equal("SETTINGS", await pair.Client.ReceiveTextAsync(8));
        _ = Read(pair);
        Assert.False(Want(pair));
    }

    [Fact]
    public async Task Want_ClientHasBegun_Stays()
    {
        await using var pair = await CreateAsync();
        await pair.SendAsync("PROXY");
        Assert.Equal("PROXY", await pair.Connection.ReadTextAsync(5));
        _ = Read(pair);
        Assert.False(Want(pair)); // what was read is not there for the next server
    }

    [Fact]
    public async Task Want_UnderMiddlewareOfTheConnection_Stays()
    {
        await using var pair = await CreateAsync();
        _ = Read(pair);
        pair.Connection.Transport = new BoundaryPipe(pair.Connection, pair.Connection.Transport.Input, pair.Connection.Transport.Output);
        Assert.False(Want(pair));
    }

    [Fact]
    public async Task Want_MiddlewareLooksAtItFirst_ItsReadEndsThough()
    {
        await using var pair = await CreateAsync(); // and nobody has heard of the close
        var read = Read(pair);
        Assert.True(Want(pair));
        Assert.True((await read).IsCanceled);
        pair.Connection.Transport.Input.AdvanceTo((await read).Buffer.Start);
        Assert.True((await Read(pair)).IsCompleted); // it looks on
        pair.Connection.Transport.Input.AdvanceTo(default);
        using var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    /// <summary>In an instance that has taken it over, and in which it has not been asked for anything yet.</summary>
    [Fact]
    public async Task Want_MiddlewareLooksAtOneThatMovedHere_ItsReadEndsThough()
    {
        await using var pair = await CreateAsync();
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: true);
        var ended = Read(pair);
        Assert.True(Want(pair));
        await ended; // a server is done when its connection is let go
        using var released = await pair.ReleaseAsync();
        await using var moved = pair.Adopt(released!, isBetween: true);

        var read = Read(moved);
        Assert.True(moved.Want(static _ => ValueTask.CompletedTask, out _));
        Assert.True((await read).IsCanceled);
        moved.Transport.Input.AdvanceTo((await read).Buffer.Start);
        Assert.True((await Read(moved)).IsCompleted);
        moved.Transport.Input.AdvanceTo(default);
        using var again = await moved.ReleaseAsync(Cancel).OrHang();
        Assert.NotNull(again);
    }

    private static async Task<ConnectionPair> CreateAsync(bool hasExchanges = true)
    {
        var pair = await ConnectionPair.CreateAsync(listenerName: "tcp:*:80");
        pair.Connection.Origin!.HasExchanges = hasExchanges;
        return pair;
    }

    /// <summary>A request that has been received, and that the server has not seen.</summary>
    private static async Task SendUnreadAsync(ConnectionPair pair)
    {
        await pair.SendAsync("GET");
        await Poll.UntilAsync(() => Task.FromResult(pair.Connection.Socket.Available == 0));
    }

    private static async Task AssertTakenWithWhatWasSentAsync(ConnectionPair pair)
    {
        Assert.True((await Read(pair)).IsCanceled);
        using var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        Assert.Equal("GET", Encoding.ASCII.GetString(released.Leftover.Span) + await released.Socket.ReceiveTextAsync(3 - released.Leftover.Length));
    }

    private static Task<ReadResult> Read(ConnectionPair pair) => Read(pair.Connection);

    private static Task<ReadResult> Read(HandoffConnection connection) => connection.Transport.Input.ReadAsync(Cancel).AsTask().OrHang();

    private static bool Want(ConnectionPair pair) => pair.Connection.Want(static _ => ValueTask.CompletedTask, out _);

    private sealed class Server(HandoffConnection connection) : IConnectionLifetimeNotificationFeature
    {
        public CancellationToken ConnectionClosedRequested { get; set; }

        public void RequestClose() => connection.Transport.Input.CancelPendingRead();
    }
}
