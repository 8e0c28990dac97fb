using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Connections;

public sealed class ReleaseTests
{
    private static readonly TransportSettings Unlimited = new() { MaxWriteBufferSize = null };

    [Fact]
    public async Task Release_Idle_DuplicateGoesOnAndClientSeesNothing()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.SendAsync("hello");
        await pair.Connection.ReadTextAsync(5);

        var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        Assert.Equal(0, released.Leftover.Length);
        Assert.Null(released.State);
        Assert.Equal(pair.Client.LocalEndPoint, released.RemoteEndPoint);

        using var duplicate = TestLibc.Duplicate(released.Socket);
        released.Dispose();
        pair.Connection.Abort(new ConnectionAbortedException("late"));
        await pair.Connection.DisposeAsync().OrHang();
        pair.Connection.Abort(new ConnectionAbortedException("later"));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, duplicate);
    }

    [Fact]
    public async Task Release_CallbackOfTheCloseBlocks_OthersOfTheQueueGoOn()
    {
        await using var pair = await ConnectionPair.CreateAsync(new TransportSettings { IOQueueCount = 1 });
        await using var other = await pair.AnotherAsync();
        var isCalled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var mayEnd = new ManualResetEventSlim();
        pair.Connection.ConnectionClosed.Register(() =>
        {
            isCalled.SetResult();
            mayEnd.Wait();
        });
        var releasing = pair.ReleaseAsync();
        await isCalled.Task.OrHang();
        try
        {
            await other.SendAsync("on");
            Assert.Equal("on", await other.Connection.ReadTextAsync(2));
        }
        finally
        {
            mayEnd.Set();
        }

        using var released = await releasing;
        Assert.NotNull(released);
    }

    [Fact]
    public async Task Release_RolledBack_SameSocketGoesOn()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.SendAsync("rest");
        await pair.Connection.ReadTextAsync(1);
        var released = await pair.ReleaseAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.NotNull(released);

        await using var adopted = pair.Adopt(released);
        Assert.Equal(pair.Connection.ConnectionId, adopted.ConnectionId);
        Assert.Equal("est", await adopted.ReadTextAsync(3));
        await adopted.WriteAsync("again");
        Assert.Equal("again", await pair.Client.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task Adopted_EndsWhileSomebodyElseStillHasADescriptor_ClientSeesTheEndAllTheSame()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        using var late = TestLibc.Duplicate(released.Socket);
        await using var adopted = pair.Adopt(released);
        await adopted.WriteAsync("bye");
        await adopted.DisposeAsync().OrHang();
        Assert.Equal("bye", await pair.Client.ReceiveTextAsync(3));
        Assert.Equal(0, await pair.Client.ReceiveAsync(new byte[1]).OrHang());
    }

    [Fact]
    public async Task Release_OutputNotYetSent_ClientGetsItFirst()
    {
        const int Length = 20_000_000;
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        await pair.WriteAsync(Length);
        var releasing = pair.ReleaseAsync();
        Assert.Equal(ConnectionPair.Pattern(Length), await pair.Client.ReceiveExactlyAsync(Length));

        using var released = await releasing;
        Assert.NotNull(released);
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    [Fact]
    public async Task Release_ExaminedAndHalfConsumed_RestIsLeftover()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.SendAsync("0123456789");
        var input = pair.Connection.Transport.Input;
        var result = await input.ReadAtLeastAsync(10, TestContext.Current.CancellationToken).OrHang();
        input.AdvanceTo(result.Buffer.GetPosition(4), result.Buffer.End);

        using var released = await pair.ReleaseAsync();
        Assert.Equal("456789", Encoding.ASCII.GetString(released!.Leftover.Span));
    }

    [Fact]
    public async Task Release_ReceivingPaused_NothingIsLost()
    {
        const int Length = 100_000;
        await using var pair = await ConnectionPair.CreateAsync(new TransportSettings { MaxReadBufferSize = 1000 });
        await pair.SendAsync(Length);
        var input = pair.Connection.Transport.Input;
        var result = await input.ReadAtLeastAsync(1000, TestContext.Current.CancellationToken).OrHang();
        input.AdvanceTo(result.Buffer.Start);

        using var released = await pair.ReleaseAsync();
        pair.Client.Shutdown(SocketShutdown.Send);
        var rest = await released!.Socket.ReceiveToEndAsync();
        byte[] all = [.. released.Leftover.Span, .. rest];
        Assert.Equal(ConnectionPair.Pattern(Length), all);
    }

    [Fact]
    public async Task Release_AtAnyMomentOfIncomingData_NothingIsLostAndNothingTouched()
    {
        const int Length = 40_000;
        for (var round = 0; round < 500; round++)
        {
            await using var pair = await ConnectionPair.CreateAsync();
            var random = new Random(round);
            var sending = SendInPiecesAsync(pair.Client, ConnectionPair.Pattern(Length), random.Next(1, 3000));
            var consumed = await pair.Connection.ReadExactlyAsync(random.Next(1, Length));

            var released = await pair.ReleaseAsync();
            await pair.Connection.DisposeAsync().OrHang();
            Assert.NotNull(released);
            using var duplicate = TestLibc.Duplicate(released.Socket);
            released.Dispose();

            var rest = await duplicate.ReceiveExactlyAsync(Length - consumed.Length - released.Leftover.Length);
            byte[] all = [.. consumed, .. released.Leftover.Span, .. rest];
            Assert.Equal(ConnectionPair.Pattern(Length), all);
            await sending.OrHang();
            await ConnectionReading.AssertUntouchedAsync(pair.Client, duplicate);
        }
    }

    [Fact]
    public async Task Release_FromDisposing_DisposeLeavesTheSocketAlone()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        ReleasedConnection? released = null;
        pair.Connection.Disposing = async connection => released = await connection.ReleaseAsync();
        await pair.WriteAsync("written before");
        await pair.Connection.DisposeAsync().OrHang();

        Assert.NotNull(released);
        Assert.Equal("written before", await pair.Client.ReceiveTextAsync(14));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
        released.Dispose();
        Assert.Equal(0, pair.Registry.Count);
    }

    [Fact]
    public async Task Disposing_Throws_ConnectionEndsAsUsual()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.Disposing = static _ => throw new InvalidOperationException("test");
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Release_ClientSaidFin_IsNullAndEndsAsUsual()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Client.Shutdown(SocketShutdown.Send);
        await pair.Connection.ClosedAsync();
        await pair.WriteAsync("bye");
        Assert.Null(await pair.ReleaseAsync());
        Assert.Equal("bye"u8.ToArray(), await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Release_AfterTheEnd_IsNull()
    {
        await using var aborted = await ConnectionPair.CreateAsync();
        aborted.Connection.Abort(new ConnectionAbortedException("test"));
        Assert.Null(await aborted.ReleaseAsync());

        await using var disposed = await ConnectionPair.CreateAsync();
        await disposed.Connection.DisposeAsync().OrHang();
        Assert.Null(await disposed.ReleaseAsync());

        await using var released = await ConnectionPair.CreateAsync();
        using var first = await released.ReleaseAsync();
        Assert.NotNull(first);
        Assert.Null(await released.ReleaseAsync());
    }

    /// <summary>Nothing tells the connection; but a socket that is closed must not be among those that are sent.</summary>
    [Fact]
    public async Task Release_ApplicationClosedTheSocket_IsNull()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        pair.Connection.Socket.Dispose();
        Assert.Null(await pair.ReleaseAsync());
    }

    [Fact]
    public async Task Release_ApplicationCompletedItsInput_IsNullAndEndsAsUsual()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.Connection.Transport.Input.CompleteAsync();
        Assert.Null(await pair.ReleaseAsync());
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Release_ClientDoesNotReadUntilCancelled_IsNullAndResets()
    {
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        await pair.WriteAsync(20_000_000);
        using var deadline = new CancellationTokenSource();
        var releasing = pair.Connection.ReleaseAsync(deadline.Token).AsTask();
        await deadline.CancelAsync();
        Assert.Null(await releasing.OrHang());
        await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
    }

    [Fact]
    public async Task Release_DisposeWhileItRuns_DisposeWaitsForIt()
    {
        const int Length = 20_000_000;
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        await pair.SendAsync("left");
        await pair.WriteAsync(Length);
        var releasing = pair.ReleaseAsync();
        var disposing = pair.Connection.DisposeAsync().AsTask();
        await pair.Client.ReceiveExactlyAsync(Length);
        using var released = await releasing;
        await disposing.OrHang();
        Assert.NotNull(released);
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket, received: "left"[released.Leftover.Length..]);
    }

    private static async Task SendInPiecesAsync(Socket client, byte[] bytes, int piece)
    {
        for (var done = 0; done < bytes.Length;)
        {
            done += await client.SendAsync(bytes.AsMemory(done, Math.Min(piece, bytes.Length - done))).OrHang();
        }
    }
}
