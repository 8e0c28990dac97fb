using System.Net.WebSockets;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>A WebSocket goes on with the successor between two messages: same connection, no message lost, doubled or out of order.</summary>
public sealed class WebSocketMigrationTests
{
    private const int ServiceRestart = 1012;

    [Fact]
    public async Task Echoing_ManyThroughThreeHandoffs_EveryMessageIsAnsweredOnceAndInOrder()
    {
        await using var app = await MigratingApp.ServeAsync();
        var clients = new List<CountingSocket>();
        try
        {
            for (var i = 0; i < 20; i++)
            {
                clients.Add(await CountingSocket.OpenAsync(app));
            }

            await using var loop = ClientLoop.Start(i => clients[i].CountAsync(), clients.Count);
            for (var generation = 2; generation <= 4; generation++)
            {
                await app.HandOffAsync();
                while (clients.Any(client => client.Generation < generation))
                {
                    await loop.AnsweredAsync(clients.Count);
                }
            }

            await loop.StopAsync();
            await app.PredecessorExitsAsync();
            await Task.WhenAll(clients.Select(client => client.CloseAsync()));
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public async Task Idle_ThreeHandoffs_EachPredecessorExitsAndTheNextCountsOn()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var client = await CountingSocket.OpenAsync(app);
        for (var generation = 2; generation <= 4; generation++)
        {
            await client.CountAsync();
            await app.HandOffAsync();
            await app.PredecessorExitsAsync();
            await client.CountAsync();
            Assert.Equal(generation, client.Generation);
        }

        await client.CloseAsync();
    }

    [Fact]
    public async Task HalfAMessageReceived_MovesAfterItsEnd()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var client = await CountingSocket.OpenAsync(app);
        await client.SendAsync("half", isLast: false);

        await app.HandOffAsync();

        await client.SendAsync("whole", isLast: true);
        await client.HearAsync("halfwhole");
        Assert.Equal(1, client.Generation);
        await app.PredecessorExitsAsync();
        await client.CountAsync();
        Assert.Equal(2, client.Generation);
    }

    [Fact]
    public async Task CompressedWithoutContext_Moves()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var client = await CountingSocket.OpenAsync(
            app, "/without-context", new WebSocketDeflateOptions { ClientContextTakeover = false, ServerContextTakeover = false });
        await client.CountAsync();

        await app.HandOffAsync();

        await app.PredecessorExitsAsync();
        await client.CountAsync();
        Assert.Equal(2, client.Generation);
    }

    [Fact]
    public async Task CompressedWithContext_IsToldToComeBack()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var client = await CountingSocket.OpenAsync(app, "/with-context", new WebSocketDeflateOptions());
        await client.CountAsync();

        await app.HandOffAsync();

        Assert.Equal(ServiceRestart, await client.ClosedAsync());
        await client.CloseAsync();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task SuccessorDoesNotAcceptIt_IsToldToComeBack()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var client = await CountingSocket.OpenAsync(app, "/first-generation-only");
        await client.CountAsync();

        await app.HandOffAsync();

        Assert.Equal(ServiceRestart, await client.ClosedAsync());
        await app.PredecessorExitsAsync();
    }
}
