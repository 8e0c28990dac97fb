using KestrelHandoff.Transport.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Connections;

public sealed class ConnectionRegistryTests
{
    [Fact]
    public void WhenEmpty_NoConnection_EndsAtOnce() => Assert.True(new ConnectionRegistry().WhenEmpty().IsCompletedSuccessfully);

    [Fact]
    public async Task WhenEmpty_ConnectionsLive_EndsWithTheLast()
    {
        var registry = new ConnectionRegistry();
        using var factory = new ConnectionFactory(new TransportSettings(), null, NullLogger.Instance, registry);
        var connections = new List<HandoffConnection>();
        for (var i = 0; i < 20; i++)
        {
            var (client, server) = await ConnectionPair.ConnectAsync();
            client.Dispose();
            connections.Add(factory.Create(server));
        }

        var empty = registry.WhenEmpty();
        Assert.Equal(20, registry.Count);
        Assert.Equal(Ids(connections), Ids(registry.Snapshot()));
        foreach (var connection in connections.OrderBy(static c => c.ConnectionId[^1] * 7 % 5))
        {
            Assert.False(empty.IsCompleted);
            Assert.Contains(connection.ConnectionId, Ids(registry.Snapshot()));
            await connection.DisposeAsync().OrHang();
            Assert.DoesNotContain(connection.ConnectionId, Ids(registry.Snapshot()));
        }

        await empty.OrHang();
        Assert.Equal(0, registry.Count);
        Assert.True(registry.WhenEmpty().IsCompleted);
    }

    [Fact]
    public async Task WhenEmpty_EmptyOnceAndFilledAgain_WaitsAgain()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var first = pair.Registry.WhenEmpty();
        await pair.Connection.DisposeAsync().OrHang();
        await first.OrHang();

        using var factory = new ConnectionFactory(new TransportSettings(), null, NullLogger.Instance, pair.Registry);
        var (client, server) = await ConnectionPair.ConnectAsync();
        var connection = factory.Create(server);
        var second = pair.Registry.WhenEmpty();
        Assert.False(second.IsCompleted);
        client.Dispose();
        await connection.DisposeAsync().OrHang();
        await second.OrHang();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Create_SocketWithAnotherNoDelay_HasThatOfTheSettings(bool noDelay)
    {
        using var factory = new ConnectionFactory(new TransportSettings { NoDelay = noDelay }, null, NullLogger.Instance, new ConnectionRegistry());
        var (client, server) = await ConnectionPair.ConnectAsync();
        server.NoDelay = !noDelay;
        await using var connection = factory.Create(server);
        Assert.Equal(noDelay, connection.Socket.NoDelay);
        client.Dispose();
    }

    // Connections themselves cannot be compared by asserts: each is a collection of features, most of which are itself.
    private static List<string> Ids(List<HandoffConnection> connections) => [.. connections.Select(static c => c.ConnectionId).Order()];
}
