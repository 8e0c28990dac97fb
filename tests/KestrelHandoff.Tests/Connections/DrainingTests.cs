using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using Microsoft.Extensions.Time.Testing;

namespace KestrelHandoff.Tests.Connections;

public sealed class DrainingTests
{
    private const int ResponseLength = 8_000_000;

    // more than fits on the way, so that a close loses the rest of it unless it waits
    private static readonly TransportSettings Unlimited = new() { MaxWriteBufferSize = null, MaxReadBufferSize = 1000 };

    [Fact]
    public async Task Dispose_DrainingWithUnreadData_ClientReadsWholeResponseAndFin()
    {
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        pair.Registry.IsDraining = true;
        var disposing = await RespondWithoutReadingAsync(pair);
        Assert.Equal(ConnectionPair.Pattern(ResponseLength), await pair.Client.ReceiveToEndAsync());
        pair.Client.Shutdown(SocketShutdown.Send);
        await disposing.OrHang();
        Assert.True(pair.Connection.ConnectionClosed.IsCancellationRequested);
    }

    [Fact]
    public async Task Dispose_NotDrainingWithUnreadData_ClientIsReset()
    {
        await using var pair = await ConnectionPair.CreateAsync(Unlimited);
        var disposing = await RespondWithoutReadingAsync(pair);
        var reset = await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
        await disposing.OrHang();
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
        await pair.SendAsync(200_000);
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
