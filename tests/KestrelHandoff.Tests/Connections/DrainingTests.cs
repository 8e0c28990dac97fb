using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using Microsoft.Extensions.Time.Testing;

namespace KestrelHandoff.Tests.Connections;

public sealed class DrainingTests
{
    // More than the client has room for and less than the server's send buffer: the send loop ends while most of it, and the FIN
    // behind it, is still on this side. (A client that has seen FIN is not told of the reset after it.)
    private const int ResponseLength = 150_000;
    private const int ClientBuffer = 4096;

    private static readonly TransportSettings Settings = new() { MaxWriteBufferSize = null, MaxReadBufferSize = 1000 };

    [Fact]
    public async Task Dispose_DrainingWithUnreadData_ClientReadsWholeResponseAndFin()
    {
        await using var pair = await ConnectionPair.CreateAsync(Settings, clientBuffer: ClientBuffer, time: new FakeTimeProvider());
        pair.Registry.IsDraining = true;
        var disposing = await RespondWithoutReadingAsync(pair);
        await pair.Connection.ClosedAsync();
        Assert.Equal(ConnectionPair.Pattern(ResponseLength), await pair.Client.ReceiveToEndAsync());
        Assert.False(disposing.IsCompleted);
        pair.Client.Shutdown(SocketShutdown.Send);
        await disposing.OrHang();
    }

    [Fact]
    public async Task Dispose_NotDrainingWithUnreadData_ClientIsReset()
    {
        await using var pair = await ConnectionPair.CreateAsync(Settings, clientBuffer: ClientBuffer);
        var disposing = await RespondWithoutReadingAsync(pair);
        await disposing.OrHang();
        var reset = await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
    }

    [Fact]
    public async Task Dispose_DrainingAndClientStays_ClosesAtTheLimit()
    {
        var time = new TimeWithAlarm();
        await using var pair = await ConnectionPair.CreateAsync(time: time);
        pair.Registry.IsDraining = true;
        var disposing = pair.Connection.DisposeAsync().AsTask();
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
        await time.TimerSet.OrHang();
        Assert.False(disposing.IsCompleted);
        Assert.Equal(1, pair.Registry.Count);

        time.Advance(HandoffConnection.LingerLimit);
        await disposing.OrHang();
        Assert.Equal(0, pair.Registry.Count);
    }

    [Fact]
    public async Task Dispose_DrainingAndClientGoneFirst_DoesNotWait()
    {
        await using var pair = await ConnectionPair.CreateAsync(time: new FakeTimeProvider());
        pair.Registry.IsDraining = true;
        pair.Client.Shutdown(SocketShutdown.Send);
        await pair.Connection.ClosedAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Empty(await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Dispose_DrainingAndClientResets_DoesNotWait()
    {
        var time = new TimeWithAlarm();
        await using var pair = await ConnectionPair.CreateAsync(time: time);
        pair.Registry.IsDraining = true;
        var disposing = pair.Connection.DisposeAsync().AsTask();
        await time.TimerSet.OrHang();
        pair.Client.Close(0);
        await disposing.OrHang();
    }

    private static async Task<Task> RespondWithoutReadingAsync(ConnectionPair pair)
    {
        pair.Connection.Socket.SendBufferSize = 2 * ResponseLength;
        await pair.SendAsync(20_000);
        await pair.Connection.ReadExactlyAsync(1);
        await pair.WriteAsync(ResponseLength);
        return pair.Connection.DisposeAsync().AsTask();
    }

    /// <summary>Time that stands still, and tells when somebody waits for it.</summary>
    private sealed class TimeWithAlarm : FakeTimeProvider
    {
        private readonly TaskCompletionSource _timerSet = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task TimerSet => _timerSet.Task;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            _timerSet.TrySetResult();
            return timer;
        }
    }
}
