using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Connections;

/// <summary>A handler of a protocol of its own lets its connection go. The test plays the handler.</summary>
public sealed class HandOffTests
{
    [Fact]
    public async Task TryHandOff_NotRequested_Stays()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var feature = Feature(pair);
        Assert.False(feature.HandoffRequested.IsCancellationRequested);
        Assert.False(feature.TryHandOff());
        await pair.SendAsync("on");
        Assert.Equal("on", await pair.Connection.ReadTextAsync(2));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TryHandOff_Requested_StateAndUnreadBytesGoAlong(bool advanced)
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var feature = Feature(pair);
        var requested = feature.HandoffRequested;
        await pair.SendAsync("half");
        Assert.False(Want(pair));
        Assert.True(requested.IsCancellationRequested);
        var result = await pair.Connection.Transport.Input.ReadAtLeastAsync(4, TestContext.Current.CancellationToken).OrHang();
        if (advanced)
        {
            pair.Connection.Transport.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }

        Assert.True(feature.TryHandOff("state"u8.ToArray()));
        using var released = await pair.ReleaseAsync();

        Assert.Equal("half", Encoding.ASCII.GetString(released!.Leftover.Span));
        Assert.Equal("state", Encoding.ASCII.GetString(released.State!.Value.Span));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    [Fact]
    public async Task TryHandOff_WithoutState_NextFindsAnEmptyOne()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Assert.Null(Feature(pair).State);
        Want(pair);
        Assert.True(Feature(pair).TryHandOff());
        var released = await pair.ReleaseAsync();
        await pair.Connection.DisposeAsync().OrHang();

        await using var adopted = pair.Adopt(released!);
        Assert.Equal(0, adopted.Features.Get<IConnectionHandoffFeature>()!.State!.Value.Length);
    }

    [Fact]
    public async Task HandoffRequested_AskedForLate_IsCancelledAlready()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Want(pair);
        Assert.True(Feature(pair).HandoffRequested.IsCancellationRequested);
    }

    [Fact]
    public async Task EndMessage_NotWantedAnyMoreByThen_GoesOn()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var messages = new StubMessages();
        pair.Connection.Speak(messages);
        Want(pair);
        Thread? late = null;
        messages.Holds = () =>
        {
            messages.Holds = () => true;
            late = new Thread(pair.Connection.EndMessage);
            late.Start();
            SpinWait.SpinUntil(() => late.ThreadState.HasFlag(ThreadState.WaitSleepJoin), HangGuard.Limit); // it waits for the lock, and has seen that it is wanted
            pair.Connection.Unwant();
            return false;
        };

        pair.Connection.EndMessage();
        Assert.True(late!.Join(HangGuard.Limit));

        Assert.False(pair.Connection.IsHeld);
    }

    [Fact]
    public async Task TryHandOff_OutputNotYetSent_ClientGetsItFirst()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Want(pair);
        Assert.True(Feature(pair).TryHandOff());
        pair.Connection.Abort(new ConnectionAbortedException("on the way out"));
        await pair.WriteAsync("last words");
        Assert.False(pair.Connection.ConnectionClosed.IsCancellationRequested);
        using var released = await pair.ReleaseAsync();
        Assert.True(pair.Connection.ConnectionClosed.IsCancellationRequested);
        Assert.Equal("last words", await pair.Client.ReceiveTextAsync(10));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released!.Socket);
    }

    [Fact]
    public async Task TryHandOff_NobodyTakesIt_EndsAsUsual()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Want(pair);
        Assert.True(Feature(pair).TryHandOff());
        await pair.WriteAsync("bye");
        await pair.Connection.Transport.Output.CompleteAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Equal("bye"u8.ToArray(), await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task GiveUpRelease_Held_Resets()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Want(pair);
        Assert.True(Feature(pair).TryHandOff());
        pair.Connection.GiveUpRelease();
        await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
        Assert.Null(await pair.ReleaseAsync());
    }

    [Fact]
    public async Task TryHandOff_UnderMiddlewareOfTheConnection_Stays()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.Transport = new DuplexPipe();
        var requested = Feature(pair).HandoffRequested;
        Want(pair);
        Assert.False(requested.IsCancellationRequested);
        Assert.False(Feature(pair).HandoffRequested.IsCancellationRequested);
        Assert.False(Feature(pair).TryHandOff());
    }

    [Fact]
    public async Task TryHandOff_OnceRequestsWereSpoken_Stays()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.BeginExchange();
        Want(pair);
        Assert.False(Feature(pair).TryHandOff());
        pair.Connection.EndExchange(isWhole: true);
        Assert.False(Feature(pair).TryHandOff());
    }

    [Fact]
    public async Task State_AfterTheExchangeThatItWasLeftTo_IsGone()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.Continue("state"u8.ToArray(), isBetween: false);
        pair.Connection.BeginExchange();
        Assert.Equal(5, Feature(pair).State!.Value.Length);
        pair.Connection.EndExchange(isWhole: true);
        Assert.Null(Feature(pair).State);
    }

    [Fact]
    public async Task Want_WhileItIsDisposed_Stays()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.False(Want(pair));
        Assert.False(Feature(pair).TryHandOff());
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task TryHandOff_ClientHasClosed_Stays()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Want(pair);
        pair.Client.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        Assert.True((await pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask().OrHang()).IsCompleted);
        Assert.False(Feature(pair).TryHandOff());
    }

    [Fact]
    public async Task TryHandOff_StateTooLong_SaysSo()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Want(pair);
        var error = Assert.Throws<ArgumentException>(() => Feature(pair).TryHandOff(new byte[HandoffConnection.MaxStateLength + 1]));
        Assert.Contains("65537 bytes", error.Message, StringComparison.Ordinal);
        Assert.True(Feature(pair).TryHandOff(new byte[HandoffConnection.MaxStateLength]));
    }

    private static IConnectionHandoffFeature Feature(ConnectionPair pair) => pair.Connection.Features.Get<IConnectionHandoffFeature>()!;

    private static bool Want(ConnectionPair pair) => pair.Connection.Want(static _ => ValueTask.CompletedTask, out _);

    private sealed class DuplexPipe : IDuplexPipe
    {
        private readonly Pipe _pipe = new();

        public PipeReader Input => _pipe.Reader;

        public PipeWriter Output => _pipe.Writer;
    }
}
