namespace KestrelHandoff.Tests.Connections;

public sealed class HandoffConnectionTests
{
    [Fact]
    public async Task Connection_EchoedBytes_ComeBack()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.SendAsync("hello");
        await pair.WriteAsync(await pair.Connection.ReadTextAsync(5));
        Assert.Equal("hello", await pair.Client.ReceiveTextAsync(5));
    }

    [Fact]
    public async Task Release_Idle_ConversationGoesOnOverTheSameSocket()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.SendAsync("hello");
        await pair.Connection.ReadTextAsync(5);

        var released = await pair.ReleaseAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.NotNull(released);
        Assert.Equal(0, released.Leftover.Length);

        await using var adopted = pair.Adopt(released);
        await adopted.WriteAsync("again");
        Assert.Equal("again", await pair.Client.ReceiveTextAsync(5));
    }
}
