using System.Globalization;
using System.Net.Http.Headers;
using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>A stream of server-sent events goes on with the successor between two events, in the same answer.</summary>
public sealed class EventStreamMigrationTests
{
    [Fact]
    public async Task ThreeHandoffs_EventsGoOnWithoutAGap()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var events = await OpenAsync(app, "/events-moving");
        await FollowAsync(app, events).OrHang(); // a stream that stays would tick for ever
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task SuccessorDoesNotAcceptIt_StreamEndsAsItShould()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var events = await OpenAsync(app, "/events-moving/first-generation-only");
        await NextAsync(events, 1);

        await app.HandOffAsync();

        await events.ReadToEndAsync(TestContext.Current.CancellationToken).OrHang(); // to the last chunk: cut, it would throw
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task ResultOfTheFramework_Moves()
    {
        await using var app = await MigratingApp.ServeAsync();
        using var events = await OpenAsync(app, "/events-result"); // Content-Encoding: identity
        Assert.Equal("data: 1", await events.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().OrHang());

        await app.HandOffAsync();

        await GenerationAsync(2).OrHang();
        await app.PredecessorExitsAsync();

        async Task GenerationAsync(int generation)
        {
            while (await events.ReadLineAsync(TestContext.Current.CancellationToken) is var line && line != $"data: {generation}")
            {
                Assert.True(line is "" or "data: 1", line);
            }
        }
    }

    private static async Task FollowAsync(MigratingApp app, StreamReader events)
    {
        var count = 0;
        for (var generation = 1; generation <= 4; generation++)
        {
            int last;
            do
            {
                last = await NextAsync(events, ++count);
                Assert.InRange(last, generation - 1, generation);
            }
            while (last < generation);
            if (generation < 4)
            {
                var handoff = app.HandOffAsync();
                while (!handoff.IsCompleted)
                {
                    Assert.InRange(await NextAsync(events, ++count), generation, generation + 1);
                }

                await handoff;
            }
        }
    }

    private static async Task<StreamReader> OpenAsync(MigratingApp app, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        var answer = await app.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken).OrHang();
        return new StreamReader(await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>The generation of the next event, which must have the next number.</summary>
    private static async Task<int> NextAsync(StreamReader events, int count)
    {
        var line = await events.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().OrHang();
        Assert.Equal("", await events.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().OrHang());
        var parts = line!["data: ".Length..].Split(':');
        Assert.Equal($"{count}", parts[1]);
        return int.Parse(parts[0], CultureInfo.InvariantCulture);
    }
}
