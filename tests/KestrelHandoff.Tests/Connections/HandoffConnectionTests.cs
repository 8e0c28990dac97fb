using System.IO.Pipelines;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Connections;

public sealed class HandoffConnectionTests
{
    private static readonly TransportSettings Unlimited = new() { MaxWriteBufferSize = null };

    [Theory]
    [InlineData(1, false)]
    [InlineData(0, false)]
    [InlineData(2, true)]
    public async Task Connection_AnySettings_EchoesMoreThanItsBuffersHold(int queues, bool inline)
    {
        const int Length = 3_000_000;
        await using var pair = await ConnectionPair.CreateAsync(new TransportSettings
        {
            IOQueueCount = queues,
            UnsafePreferInlineScheduling = inline,
            MaxReadBufferSize = 10_000,
            MaxWriteBufferSize = 10_000,
        });
        var sending = pair.SendAsync(Length);
        var echoing = pair.Connection.Transport.Input.CopyToAsync(pair.Connection.Transport.Output, TestContext.Current.CancellationToken);

        Assert.Equal(ConnectionPair.Pattern(Length), await pair.Client.ReceiveExactlyAsync(Length));
        await sending.OrHang();
        pair.Client.Shutdown(SocketShutdown.Send);
        await echoing.OrHang();
    }

    [Fact]
    public async Task Connection_BytesReceivedBefore_ComeFirst()
    {
        var received = ConnectionPair.Pattern(50_000);
        await using var pair = await ConnectionPair.CreateAsync(new TransportSettings { MaxReadBufferSize = 1_000 }, received);
        await pair.SendAsync("after");
        Assert.Equal(received, await pair.Connection.ReadExactlyAsync(received.Length));
        Assert.Equal("after", await pair.Connection.ReadTextAsync(5));
    }

    [Fact]
    public async Task ClientFin_InputEndsAndClosedFires()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Client.Shutdown(SocketShutdown.Send);
        var result = await pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).OrHang();
        Assert.True(result.IsCompleted);
        await pair.Connection.ClosedAsync();

        await pair.WriteAsync("bye");
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Equal("bye"u8.ToArray(), await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task ClientReset_ReadThrowsConnectionReset()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Client.Close(0);
        await Assert.ThrowsAsync<ConnectionResetException>(() => pair.Connection.ReadExactlyAsync(1));
        await pair.Connection.ClosedAsync();
    }

    [Fact]
    public async Task ClientReset_WriterEnds()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Client.Close(0);
        FlushResult flushed;
        do
        {
            flushed = await pair.Connection.Transport.Output.WriteAsync(new byte[1000], TestContext.Current.CancellationToken).OrHang();
        }
        while (!flushed.IsCompleted);
    }

    [Fact]
    public async Task Abort_ClientIsReset()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.Abort(new ConnectionAbortedException("test"));
        var reset = await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
        var aborted = await Assert.ThrowsAsync<ConnectionAbortedException>(() => pair.Connection.ReadExactlyAsync(1));
        Assert.Equal("test", aborted.Message);
        await pair.Connection.ClosedAsync();
    }

    [Fact]
    public async Task Abort_FinOnError_ClientSeesFin()
    {
        await using var pair = await ConnectionPair.CreateAsync(new TransportSettings { FinOnError = true });
        pair.Connection.Abort(new ConnectionAbortedException("test"));
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Abort_SendBlockedByTheClient_Ends()
    {
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        await pair.WriteAsync(20_000_000);
        pair.Connection.Abort(new ConnectionAbortedException("test"));
        await pair.Connection.DisposeAsync().OrHang();
        await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
    }

    [Fact]
    public async Task Dispose_OutputPending_ClientGetsAllOfItAndFin()
    {
        const int Length = 20_000_000;
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        await pair.WriteAsync(Length);
        var disposing = pair.Connection.DisposeAsync().AsTask();
        Assert.Equal(ConnectionPair.Pattern(Length), await pair.Client.ReceiveToEndAsync());
        await disposing.OrHang();
    }

    [Fact]
    public async Task Dispose_Thrice_CountsOnce()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var (first, second) = (pair.Connection.DisposeAsync().AsTask(), pair.Connection.DisposeAsync().AsTask());
        await first.OrHang();
        await second.OrHang();
        await pair.Connection.DisposeAsync().OrHang();
        pair.Connection.Abort(new ConnectionAbortedException("late"));
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
        Assert.Equal(0, pair.Registry.Count);
    }

    [Fact]
    public async Task Dispose_InputPaused_Ends()
    {
        await using var pair = await ConnectionPair.CreateAsync(new TransportSettings { MaxReadBufferSize = 10 });
        await pair.SendAsync(1000);
        await pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).OrHang();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.True(pair.Connection.ConnectionClosed.IsCancellationRequested);
    }

    [Fact]
    public async Task Closed_CallbackThrows_ConnectionStillEnds()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.ConnectionClosed.Register(static () => throw new InvalidOperationException("test"));
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Equal(0, pair.Registry.Count);
    }

    [Fact]
    public async Task Dispose_LeavesNothingToTheFinalizer()
    {
        const int Count = 10;
        var sockets = new List<WeakReference<Socket>>();
        for (var i = 0; i < Count; i++)
        {
            sockets.Add(await CloseAsync());
        }

        GC.Collect();

        // A reference that follows an object through its resurrection: what a finalizer is yet to run for, and all it refers to, is still there.
        // The last one may be on the stack of a thread that has not done anything since.
        Assert.InRange(sockets.Count(socket => socket.TryGetTarget(out _)), 0, Count / 2);

        static async Task<WeakReference<Socket>> CloseAsync()
        {
            await using var pair = await ConnectionPair.CreateAsync();
            var socket = new WeakReference<Socket>(pair.Connection.Socket, trackResurrection: true);
            await pair.Connection.DisposeAsync();
            Assert.Equal(0, await pair.Client.ReceiveAsync(new byte[1]).OrHang());
            return socket;
        }
    }
}
