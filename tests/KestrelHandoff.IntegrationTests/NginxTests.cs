using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>
/// Behind a proxy that keeps its connections a handoff is not seen either. POSTs: a proxy must not send them twice, so a connection
/// that closes under one is an error of the client's.
/// </summary>
public sealed class NginxTests
{
    private const int AnswersOfEach = 500;

    [Theory]
    [InlineData(true, 16, 100)]
    [InlineData(false, 16, 0)]
    [InlineData(false, 48, 100)]
    public async Task Posts_TenHandoffs_EachIsExecutedOnceAndAnswered(bool mayRetry, int clients, int bodyLength)
    {
        Assert.SkipUnless(File.Exists(Nginx.Program), $"{Nginx.Program} is not installed");
        await using var directory = new TestDirectory();
        var app = await directory.ServeAsync("--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0");
        using var admin = await app.ClientAsync();
        var address = admin.BaseAddress!;
        await using var nginx = await Nginx.StartAsync(directory, new(System.Net.IPAddress.Parse(address.Host), address.Port));
        await using var load = ProxiedLoad.Start(mayRetry ? nginx.Address : nginx.AddressWithoutRetries, clients, bodyLength);
        await load.AnsweredByAsync(1, AnswersOfEach);

        for (var generation = 2; generation <= 11; generation++)
        {
            await admin.HandOffAsync();
            await load.AnsweredByAsync(generation, AnswersOfEach);
        }

        await load.StopAsync();
        Assert.True(load.Failures.IsEmpty,
            $"{load.Failures.Count} of {load.Failures.Count + load.Answered.Count} failed:\n{string.Join('\n', load.Failures.Take(10))}\n{nginx.ErrorTail}");
        Assert.Equal(load.Answered.Order(StringComparer.Ordinal), Executed(directory).Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string> Executed(TestDirectory directory) =>
        Directory.EnumerateFiles(directory.Path, "executed-*").SelectMany(File.ReadLines);
}
