using System.Globalization;
using System.Net;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>A connection with a protocol of the app's own goes on with the successor where its handler lets it go, with what that handler leaves.</summary>
public sealed class RawMigrationTests
{
    private readonly IPEndPoint _endPoint = new(IPAddress.Loopback, FreePort.Next());

    [Fact]
    public async Task Idle_ThreeHandoffs_EachPredecessorExitsAndTheNextCountsOn()
    {
        await using var app = await ServeAsync();
        await using var line = await RawHttp.ConnectAsync(_endPoint);
        for (var generation = 1; generation <= 4; generation++)
        {
            await line.WriteAsync("text\n");
            Assert.Equal($"{generation}:{generation}:text", await line.ReadLineAsync());
            if (generation < 4)
            {
                await app.HandOffAsync();
                await app.PredecessorExitsAsync();
            }
        }
    }

    [Fact]
    public async Task HalfALineReceived_SuccessorReadsItWhole()
    {
        await using var app = await ServeAsync();
        await using var line = await RawHttp.ConnectAsync(_endPoint);
        await line.WriteAsync("one\nha");
        Assert.Equal("1:1:one", await line.ReadLineAsync());

        await app.HandOffAsync();
        await app.PredecessorExitsAsync();

        await line.WriteAsync("lf\n");
        Assert.Equal("2:2:half", await line.ReadLineAsync());
    }

    [Fact]
    public async Task Busy_LinesInPiecesThroughThreeHandoffs_EveryLineIsAnsweredOnceAndInOrder()
    {
        await using var app = await ServeAsync();
        var clients = new List<RawHttp>();
        try
        {
            for (var i = 0; i < 20; i++)
            {
                clients.Add(await RawHttp.ConnectAsync(_endPoint));
            }

            var counts = new int[clients.Count];
            var generations = new int[clients.Count];
            await using var loop = ClientLoop.Start(AskAsync, clients.Count);
            for (var generation = 2; generation <= 4; generation++)
            {
                await app.HandOffAsync();
                while (generations.Any(last => last < generation))
                {
                    await loop.AnsweredAsync(clients.Count);
                }
            }

            await loop.StopAsync();
            await app.PredecessorExitsAsync();

            async Task AskAsync(int i)
            {
                var count = ++counts[i];
                var text = new string((char)('a' + count % 26), 1 + count * 13 % 500);
                await clients[i].WriteAsync(text[..(text.Length / 2)]);
                await clients[i].WriteAsync($"{text[(text.Length / 2)..]}\n");
                var answer = (await clients[i].ReadLineAsync()).Split(':');
                Assert.Equal(($"{count}", text), (answer[1], answer[2]));
                var generation = int.Parse(answer[0], CultureInfo.InvariantCulture);
                Assert.True(generation >= generations[i]);
                generations[i] = generation;
            }
        }
        finally
        {
            clients.ForEach(client => client.Reset());
        }
    }

    private Task<MigratingApp> ServeAsync() => MigratingApp.ServeAsync(raw: _endPoint);
}
