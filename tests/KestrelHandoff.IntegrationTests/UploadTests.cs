using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>A request with a body is its predecessor's to the last byte; the connection moves after it.</summary>
public sealed class UploadTests
{
    // More than a second's worth of Kestrel's least data rate for each second that a handoff can take.
    private static readonly string Half = new('x', 20_000);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task HalfABody_RestAfterTheHandoff_PredecessorCountsAllOfIt(bool isChunked)
    {
        var (framing, half, end) = isChunked
            ? ("Transfer-Encoding: chunked", $"{Half.Length:x}\r\n{Half}\r\n", "0\r\n\r\n")
            : ($"Content-Length: {2 * Half.Length}", Half, "");
        await using var app = await MigratingApp.ServeAsync();
        await using var upload = await app.ConnectAsync();
        await upload.WriteAsync($"POST /upload HTTP/1.1\r\nHost: localhost\r\n{framing}\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal("HTTP/1.1 100 Continue", await upload.ReadLineAsync()); // the app reads
        Assert.Equal("", await upload.ReadLineAsync());
        await upload.WriteAsync(half);
        await app.HandOffAsync();

        await upload.WriteAsync(half + end);

        Assert.Equal(new RawAnswer(200, IsLast: false, $"1:{2 * Half.Length}"), await upload.ReadAnswerAsync());
        await app.AssertMovesAsync(upload).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task HalfABody_RestAndTheNextRequestAtOnce_BothAreAnswered()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var upload = await app.ConnectAsync();
        await upload.WriteAsync($"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * Half.Length}\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal("HTTP/1.1 100 Continue", await upload.ReadLineAsync());
        Assert.Equal("", await upload.ReadLineAsync());
        await upload.WriteAsync(Half);
        await app.HandOffAsync();

        await upload.WriteAsync($"{Half}GET /echo/next HTTP/1.1\r\nHost: localhost\r\n\r\n");

        Assert.Equal(new RawAnswer(200, IsLast: false, $"1:{2 * Half.Length}"), await upload.ReadAnswerAsync());
        Assert.Matches("^[12]:next$", (await upload.ReadAnswerAsync()).Body);
        await app.AssertMovesAsync(upload).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task UnreadBody_AllOfItIsThere_IsNeverTakenForARequest()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var upload = await app.ConnectAsync();
        await upload.WriteAsync($"{UnreadHead(Half.Length)}{Half}GET /echo/next HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await app.Process.Output.HearAsync("waits");

        await app.HandOffAsync();

        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await upload.ReadAnswerAsync());
        Assert.Matches("^[12]:next$", (await upload.ReadAnswerAsync()).Body);
        await app.AssertMovesAsync(upload).OrHang();
        await app.PredecessorExitsAsync();
    }

    [Fact]
    public async Task UnreadBody_HalfOfItComesAfterTheAnswer_IsNeverTakenForARequest()
    {
        await using var app = await MigratingApp.ServeAsync();
        await using var upload = await app.ConnectAsync();
        await upload.WriteAsync(UnreadHead(2 * Half.Length) + Half);
        await app.Process.Output.HearAsync("waits");
        await app.HandOffAsync();
        Assert.Equal(new RawAnswer(200, IsLast: false, "1"), await upload.ReadAnswerAsync());

        await upload.WriteAsync(Half);

        await app.AssertMovesAsync(upload).OrHang();
        await app.PredecessorExitsAsync();
    }

    private static string UnreadHead(int length) => $"POST /until-retiring HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n";
}
