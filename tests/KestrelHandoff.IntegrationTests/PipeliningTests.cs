using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>Requests that are on their way when their connection moves: whole ones, halves, and single bytes.</summary>
public sealed class PipeliningTests
{
    private const int Batch = 8;

    [Fact]
    public async Task FirstOfEightIsInFlight_AllAreAnsweredInOrder()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        await connection.WriteAsync(Get("/until-retiring") + Echoes(1, Batch - 1));
        await app.Process.Output.HearAsync("waits");

        await app.HandOffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await connection.ReadAnswerAsync());
        await AssertEchoesAsync(connection, 1, Batch - 1);
        await app.AssertMovesAsync(connection).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task LastOfEightInFlightIsHalf_AllAreAnsweredInOrder()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        await connection.WriteAsync(Get("/until-retiring") + Echoes(1, Batch - 2) + "GET /echo/l");
        await app.Process.Output.HearAsync("waits");
        await app.HandOffAsync();
        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await connection.ReadAnswerAsync());
        await AssertEchoesAsync(connection, 1, Batch - 2);

        await connection.WriteAsync("ast HTTP/1.1\r\nHost: localhost\r\n\r\n");

        await AssertEchoAsync(connection, "last");
        await app.AssertMovesAsync(connection).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task EightAtOnceAfterTheHandoff_AllAreAnsweredInOrder()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        await connection.GetAsync("/");
        await app.HandOffAsync();

        await connection.WriteAsync(Echoes(0, Batch));

        await AssertEchoesAsync(connection, 0, Batch);
        await app.AssertMovesAsync(connection).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task EightAtOnceAllTheTime_ThreeHandoffs_AllAreAnsweredInOrder()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        var (sent, last) = (0, 1);
        await using var loop = ClientLoop.Start(AskAsync, clients: 1);

        for (var generation = 2; generation <= 4; generation++)
        {
            await app.HandOffAsync();
            while (Volatile.Read(ref last) < generation)
            {
                await loop.AnsweredAsync(1);
            }
        }

        await loop.StopAsync();
        await app.PredecessorExitsAsync();

        async Task AskAsync()
        {
            await connection.WriteAsync(Echoes(sent, Batch));
            Volatile.Write(ref last, await AssertEchoesAsync(connection, sent, Batch));
            sent += Batch;
        }
    }

    [Theory]
    [InlineData("G")]
    [InlineData("GET /echo/h HTTP/1.1\r\nHo")]
    [InlineData("GET /echo/h HTTP/1.1\r\nHost: localhost\r\n\r")]
    public async Task HalfAHead_RestAfterTheHandoff_OneAnswer(string half)
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        await connection.GetAsync("/");
        await connection.WriteAsync(half);
        await app.HandOffAsync();

        await connection.WriteAsync(Get("/echo/h")[half.Length..]);

        await AssertEchoAsync(connection, "h");
        await app.AssertMovesAsync(connection).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task ByteByByte_AcrossTheHandoff_OneAnswer()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var connection = await app.ConnectAsync();
        await connection.GetAsync("/");
        var head = $"GET /echo/b HTTP/1.1\r\nHost: localhost\r\nX-Filler: {new string('x', 200)}\r\n\r\n";
        const int Rest = 20;
        await connection.WriteAsync(head[..1]);
        var handoff = app.HandOffAsync();

        foreach (var letter in head[1..^Rest])
        {
            await connection.WriteAsync($"{letter}");
            await app.Client.TextAsync("/"); // a byte for each of its answers: spread over the handoff
        }

        await handoff;
        foreach (var letter in head[^Rest..])
        {
            await connection.WriteAsync($"{letter}");
        }

        await AssertEchoAsync(connection, "b");
        await app.AssertMovesAsync(connection).OrHang();
        await app.PredecessorExitsAsync();
    }

    private static string Get(string path) => $"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n";

    private static string Echoes(int first, int count) => string.Concat(Enumerable.Range(first, count).Select(number => Get($"/echo/{number}")));

    /// <summary>Reads the answers to a batch, which no generation leaves to an earlier one.</summary>
    /// <returns>The generation that answered last.</returns>
    private static async Task<int> AssertEchoesAsync(RawHttp connection, int first, int count)
    {
        var last = 1;
        for (var number = first; number < first + count; number++)
        {
            var generation = await AssertEchoAsync(connection, $"{number}");
            Assert.InRange(generation, last, 4);
            last = generation;
        }

        return last;
    }

    private static async Task<int> AssertEchoAsync(RawHttp connection, string text)
    {
        var answer = await connection.ReadAnswerAsync();
        Assert.Equal(new RawAnswer(200, IsLast: false, $"{answer.Body.FirstOrDefault()}:{text}"), answer);
        return answer.Body[0] - '0';
    }
}
