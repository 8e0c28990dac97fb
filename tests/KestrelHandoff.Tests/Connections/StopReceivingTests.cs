using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Connections;

public sealed class StopReceivingTests
{
    [Fact]
    public async Task StopReceiving_ThenAbortAndWrite_WritesStillGoOut()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Assert.True(pair.Connection.StopReceiving());
        var result = await pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).OrHang();
        pair.Connection.Transport.Input.AdvanceTo(result.Buffer.End);
        Assert.True(result.IsCompleted);
        pair.Connection.Abort(new ConnectionAbortedException("on the way out"));
        await pair.WriteAsync("last words");
        await pair.Connection.Transport.Output.CompleteAsync();
        Assert.False(pair.Connection.ConnectionClosed.IsCancellationRequested);

        using var released = await pair.ReleaseAsync();
        Assert.NotNull(released);
        Assert.True(pair.Connection.ConnectionClosed.IsCancellationRequested);
        Assert.Equal("last words", await pair.Client.ReceiveTextAsync(10));
        await ConnectionReading.AssertUntouchedAsync(pair.Client, released.Socket);
    }

    [Fact]
    public async Task StopReceiving_NoReleaseFollows_ConnectionEndsAsUsual()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Assert.True(pair.Connection.StopReceiving());
        await pair.WriteAsync("bye");
        await pair.Connection.Transport.Output.CompleteAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Equal("bye"u8.ToArray(), await pair.Client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task GiveUpRelease_Stopped_Resets()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        Assert.True(pair.Connection.StopReceiving());
        pair.Connection.GiveUpRelease();
        await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
        Assert.Null(await pair.ReleaseAsync());
    }
}
