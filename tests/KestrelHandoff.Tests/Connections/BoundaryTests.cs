using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Tests.Connections;

/// <summary>A connection changes hands between two exchanges, with every byte, and never within one. The test plays the server.</summary>
public sealed class BoundaryTests
{
    [Fact]
    public async Task Want_BetweenTwoExchanges_EndsTheServerAndGivesTheSocketAway()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        var read = Read(pair);
        Assert.True(Want(pair));
        Assert.Equal(("", true, false), await TextAsync(pair, read));
        using var released = await TakeAsync(pair);
        Assert.Equal("", Text(released));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    [Fact]
    public async Task Want_MiddlewareHasReadAPreamble_Stays()
    {
        await using var pair = await CreateAsync();
        await pair.SendAsync("PROXY TCP4\r\n");
        Assert.Equal("PROXY TCP4\r\n", await pair.Connection.ReadTextAsync(12));
        Assert.NotNull(pair.Connection.Features.Get<IMemoryPoolFeature>()!.MemoryPool); // as Kestrel's HTTP layer begins
        await ExchangeAsync(pair, "one");
        _ = Read(pair);
        Assert.True(pair.Connection.IsBoundByRequests);
        Assert.False(Want(pair));
    }

    [Fact]
    public async Task Want_ServerBeginsBeforeAnythingIsRead_IsNoPreamble()
    {
        await using var pair = await CreateAsync();
        Assert.NotNull(pair.Connection.Features.Get<IMemoryPoolFeature>()!.MemoryPool);
        await ExchangeAsync(pair, "one");
        Assert.NotNull(pair.Connection.Features.Get<IMemoryPoolFeature>()!.MemoryPool); // by the app
        _ = Read(pair);
        Assert.True(Want(pair));
    }

    [Fact]
    public async Task Want_MiddlewareHasOnlyLookedAndLeftAnItem_GivesTheSocketAway()
    {
        await using var pair = await CreateAsync();
        pair.Connection.Items["since"] = 1; // its like in the successor makes it again
        await pair.SendAsync("one");
        var looked = await Read(pair);
        pair.Connection.Transport.Input.AdvanceTo(looked.Buffer.Start, looked.Buffer.End);
        Assert.NotNull(pair.Connection.Features.Get<IMemoryPoolFeature>()!.MemoryPool);
        await pair.SendAsync("!");
        Assert.Equal("one!", await pair.Connection.ReadTextAsync(4));
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: true);
        _ = Read(pair);
        Assert.True(Want(pair));
    }

    [Fact]
    public async Task Want_AppHasLeftItemsOnIt_StaysUntilTheyAreGone()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        pair.Connection.Items["handshake"] = new object();
        _ = Read(pair);
        Assert.False(Want(pair));
        pair.Connection.Items.Clear();
        Assert.True(Want(pair));
    }

    [Fact]
    public async Task Want_ThenTheClientSends_TheBytesGoAlong()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        var read = Read(pair);
        Assert.True(Want(pair));
        await pair.SendAsync("two"); // received by neither, or by the loop that stops: it must not matter
        Assert.Equal(("", true, false), await TextAsync(pair, read));
        using var released = await TakeAsync(pair);
        var leftover = Text(released);
        Assert.StartsWith(leftover, "two", StringComparison.Ordinal);
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket, "two"[leftover.Length..]);
    }

    [Fact]
    public async Task Want_DuringAnExchange_TakesItAtTheNextReadWithWhatWasPipelined()
    {
        await using var pair = await CreateAsync();
        await pair.SendAsync("onetwo");
        Assert.Equal("one", await pair.Connection.ReadTextAsync(3));
        pair.Connection.BeginExchange();
        Assert.False(Want(pair));
        await pair.WriteAsync("answer");
        pair.Connection.EndExchange(isWhole: true);
        Assert.Equal(("", true, false), await TextAsync(pair, Read(pair)));
        using var released = await TakeAsync(pair);
        Assert.Equal("two", Text(released));
        Assert.Equal("answer", await pair.Client.ReceiveTextAsync(6));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    /// <summary>The host is told to stop as the server gets done: the connection is counted among those that come, and once.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Await_ServerIsDoneAndItIsBeingTaken_CountsOnce(bool awaitedFirst)
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.BeginExchange();
        bool? awaited = null, taking = null;
        pair.Connection.Want(
            connection =>
            {
                taking = awaitedFirst ? null : connection.AwaitTaking();
                awaited = connection.Await();
                taking ??= connection.AwaitTaking();
                return ValueTask.CompletedTask;
            },
            out var isAwaited);
        pair.Connection.EndExchange(isWhole: true);
        Assert.False(isAwaited);
        Assert.True((await pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask().OrHang()).IsCanceled);
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Equal((awaitedFirst, !awaitedFirst), (awaited, taking));
    }

    [Fact]
    public async Task Want_ReadsOfABodyUnderWay_AreLeftAlone()
    {
        await using var pair = await CreateAsync();
        await pair.SendAsync("head");
        Assert.Equal("head", await pair.Connection.ReadTextAsync(4));
        pair.Connection.BeginExchange();
        var body = Read(pair);
        Assert.False(Want(pair));
        await pair.SendAsync("body");
        Assert.Equal(("body", false, false), await TextAsync(pair, body));
        pair.Connection.EndExchange(isWhole: true);
        Assert.Equal(("", true, false), await TextAsync(pair, Read(pair)));
        using var released = await TakeAsync(pair);
        Assert.Equal("", Text(released));
    }

    [Fact]
    public async Task Want_HalfAHeadSeen_WaitsForTheEndOfThatExchange()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        await pair.SendAsync("tw");
        var seen = await Read(pair);
        pair.Connection.Transport.Input.AdvanceTo(seen.Buffer.Start, seen.Buffer.End);
        var read = Read(pair);
        Assert.False(Want(pair));
        await pair.SendAsync("o");
        Assert.Equal(("two", false, false), await TextAsync(pair, read));
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: true);
        Assert.True((await Read(pair)).IsCanceled);
        using var released = await TakeAsync(pair);
        Assert.Equal("", Text(released));
    }

    [Fact]
    public async Task Want_BytesThatTheServerHasNotSeen_AreAnExchangeOfItsOwn()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        var read = Read(pair);
        await pair.SendAsync("two");
        var result = await read; // what Kestrel sees only when the pool has a thread for it
        Assert.False(Want(pair));
        Assert.Equal("two", Encoding.ASCII.GetString(result.Buffer.ToArray()));
        pair.Connection.Transport.Input.AdvanceTo(result.Buffer.End);
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: true);
        Assert.True((await Read(pair)).IsCanceled);
        using var released = await TakeAsync(pair);
    }

    [Fact]
    public async Task Want_BodyNotReadToItsEnd_IsNotTaken()
    {
        await using var pair = await CreateAsync();
        await pair.SendAsync("headbo");
        await pair.Connection.ReadTextAsync(4);
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: false);
        Assert.False(Want(pair));
        Assert.Equal(("bo", false, false), await TextAsync(pair, Read(pair)));
        Assert.False(pair.Connection.IsHeld);
    }

    [Fact]
    public async Task Want_NoExchangeYet_IsNotTaken()
    {
        await using var pair = await CreateAsync();
        _ = Read(pair);
        Assert.False(Want(pair)); // a server that knows no exchanges would never end
        Assert.False(pair.Connection.IsHeld);
    }

    [Fact]
    public async Task Want_TransportReplaced_StaysAndTheReadGoesOn()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        var own = pair.Connection.Transport;
        var read = Read(pair); // parked before there is a transport over it
        pair.Connection.Transport = new BoundaryPipe(pair.Connection, own.Input, own.Output);
        Assert.False(Want(pair));
        await pair.SendAsync("two");
        Assert.Equal("two", Encoding.ASCII.GetString((await read).Buffer.ToArray()));
        own.Input.AdvanceTo((await read).Buffer.End);
        Assert.False(Want(pair));
        Assert.False(((IConnectionHandoffFeature)pair.Connection).TryHandOff(default));
        Assert.Equal((false, false), (pair.Connection.CanMove, pair.Connection.IsHeld));
    }

    [Fact]
    public async Task Want_TransportReplacedOnceItIsHeld_ReadsStillEnd()
    {
        await using var pair = await CreateAsync();
        await ExchangeAsync(pair, "one");
        var own = pair.Connection.Transport;
        var read = Read(pair);
        Assert.True(Want(pair));
        pair.Connection.Transport = new BoundaryPipe(pair.Connection, own.Input, own.Output);
        Assert.True((await read).IsCanceled);
        own.Input.AdvanceTo((await read).Buffer.End);
        Assert.True((await own.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask().OrHang()).IsCompleted); // and not one that waits for the client
    }

    [Fact]
    public async Task Want_ServerReadsOnAfterAll_GetsTheRestAndTheEnd()
    {
        await using var pair = await CreateAsync();
        await pair.SendAsync("onebody");
        await pair.Connection.ReadTextAsync(3);
        pair.Connection.BeginExchange();
        Want(pair);
        pair.Connection.EndExchange(isWhole: true); // which is not so
        Assert.Equal(("", true, false), await TextAsync(pair, Read(pair)));
        Assert.Equal(("body", false, true), await TextAsync(pair, Read(pair)));
    }

    /// <summary>The receive loop may be told of the hold when that is over.</summary>
    [Fact]
    public async Task Want_HeldAndNotReleasedAfterAll_EndsThoughTheClientIsSilent()
    {
        for (var i = 0; i < 200; i++)
        {
            await using var pair = await CreateAsync(settings: new() { IOQueueCount = 0 });
            await ExchangeAsync(pair, "one");
            var read = Read(pair);
            Assert.True(Want(pair));
            await TextAsync(pair, read);
            await pair.Connection.DisposeAsync().OrHang();
            Assert.Empty(await pair.Client.ReceiveToEndAsync());
        }
    }

    [Fact]
    public async Task Want_ClientEndsItsSideAtThatMoment_WhatItHasSentGoesAlongAndTheEndIsReadAgain()
    {
        var logger = new FinLogger();
        await using var pair = await CreateAsync(logger);
        await pair.SendAsync("onetwo");
        Assert.Equal("one", await pair.Connection.ReadTextAsync(3));
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: true);
        var held = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        logger.OnFin = () =>
        {
            Want(pair);
            _ = Read(pair);
            held.SetResult(pair.Connection.IsHeld);
        };
        pair.Client.Shutdown(SocketShutdown.Send);
        Assert.True(await held.Task.OrHang());
        using var released = await TakeAsync(pair);
        Assert.Equal("two", Text(released));
        Assert.Empty(await released.Socket.ReceiveToEndAsync());
        await released.Socket.SendAsync("answer"u8.ToArray(), SocketFlags.None).OrHang();
        Assert.Equal("answer", await pair.Client.ReceiveTextAsync(6));
    }

    [Fact]
    public async Task Adopted_WithoutAnExchange_CanMoveOn()
    {
        await using var pair = await CreateAsync();
        pair.Connection.Continue(state: null, isBetween: true);
        var read = Read(pair);
        Assert.True(Want(pair));
        Assert.True((await read).IsCanceled);
        using var released = await TakeAsync(pair);
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    private static async Task<ConnectionPair> CreateAsync(ILogger? logger = null, TransportSettings? settings = null)
    {
        var pair = await ConnectionPair.CreateAsync(settings, logger: logger);
        pair.Connection.Features.Set<IConnectionLifetimeNotificationFeature>(new Server(pair.Connection));
        return pair;
    }

    /// <summary>One request, as a server reads it.</summary>
    private static async Task ExchangeAsync(ConnectionPair pair, string text)
    {
        await pair.SendAsync(text);
        Assert.Equal(text, await pair.Connection.ReadTextAsync(text.Length));
        pair.Connection.BeginExchange();
        pair.Connection.EndExchange(isWhole: true);
    }

    private static Task<ReadResult> Read(ConnectionPair pair) => pair.Connection.Transport.Input.ReadAsync().AsTask().OrHang();

    private static bool Want(ConnectionPair pair) => pair.Connection.Want(static _ => ValueTask.CompletedTask, out _);

    private static async Task<(string Text, bool IsCanceled, bool IsCompleted)> TextAsync(ConnectionPair pair, Task<ReadResult> reading)
    {
        var result = await reading;
        var text = Encoding.ASCII.GetString(result.Buffer.ToArray());
        pair.Connection.Transport.Input.AdvanceTo(result.Buffer.End);
        return (text, result.IsCanceled, result.IsCompleted);
    }

    private static async Task<ReleasedConnection> TakeAsync(ConnectionPair pair)
    {
        Assert.True(pair.Connection.IsHeld);
        pair.Connection.Transport.Input.Complete(); // as Kestrel does at the end of a connection
        var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        return released;
    }

    private static string Text(ReleasedConnection released) => Encoding.ASCII.GetString(released.Leftover.Span);

    /// <summary>Does something while FIN is being received.</summary>
    private sealed class FinLogger : ILogger
    {
        private const int FinReceived = 502;

        public Action OnFin { get; set; } = static () => { };

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id == FinReceived)
            {
                OnFin();
            }
        }
    }

    /// <summary>Kestrel's part in a close that is asked for: the read that waits for the next request ends.</summary>
    private sealed class Server(HandoffConnection connection) : IConnectionLifetimeNotificationFeature
    {
        public CancellationToken ConnectionClosedRequested { get; set; }

        public void RequestClose() => connection.Transport.Input.CancelPendingRead();
    }
}
