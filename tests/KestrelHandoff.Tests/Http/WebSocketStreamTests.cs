using KestrelHandoff.Http;
using KestrelHandoff.Tests.Connections;
using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Tests.Http;

/// <summary>The stream under a WebSocket, over one that has two frames to read and then throws as a held connection does.</summary>
public sealed class WebSocketStreamTests
{
    private static readonly byte[] Frame = [0x81, 0x81, 0, 0, 0, 0, (byte)'a']; // masked with nothing

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Read_CanMove_StopsAtTheEndOfEachFrame()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await using var stream = new WebSocketStream(new Inner(), pair.Connection, new Replay([], ""), static () => { });
        var reads = new List<int>();
        for (var count = 0; count < 2 * Frame.Length; count += reads[^1])
        {
            reads.Add(await ReadAsync(stream, 100));
        }

        Assert.Equal([6, 1, 6, 1], reads);
    }

    [Fact]
    public async Task Read_CannotMove_TakesWhatThereIs()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await using var stream = new WebSocketStream(new Inner(), pair.Connection, replay: null, static () => { });
        Assert.Equal(2 * Frame.Length, await ReadAsync(stream, 100));
        Assert.False(stream.TryHold());
    }

    [Fact]
    public async Task SayGoodbye_CannotMove_AfterTheFrameThatIsBeingSent()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var inner = new Inner();
        await using var stream = new WebSocketStream(inner, pair.Connection, replay: null, static () => { });
        Assert.Equal(1, await ReadAsync(stream, 1)); // in the middle of a frame of the client's, which does not matter
        await stream.WriteAsync(new byte[] { 0x81, 2, (byte)'a' }, Cancel);
        stream.SayGoodbye();
        Assert.False(stream.IsTaken);
        await stream.WriteAsync(new byte[] { (byte)'b' }, Cancel);
        Assert.True(stream.IsTaken);
        Assert.Equal([0x81, 2, (byte)'a', (byte)'b', .. WebSocketAnswer.Restart], inner.Written.ToArray());
    }

    [Fact]
    public async Task Read_AgainAfterTheHold_IsNoCancellation()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await using var stream = new WebSocketStream(new Inner(), pair.Connection, new Replay([], ""), static () => { });
        for (var count = 0; count < 2 * Frame.Length;)
        {
            count += await ReadAsync(stream, 100);
        }

        Assert.True(stream.TryHold());
        await Assert.ThrowsAsync<OperationCanceledException>(() => ReadAsync(stream, 100));

        // Cancelled again, a WebSocket would stay open for ever, and with it the loop of a handler that reads while it is.
        await Assert.ThrowsAsync<IOException>(() => ReadAsync(stream, 100));
        await Assert.ThrowsAsync<IOException>(() => ReadAsync(stream, 100));
    }

    private static async Task<int> ReadAsync(WebSocketStream stream, int length) => await stream.ReadAsync(new byte[length], Cancel);

    private sealed class Inner : WriteOnlyStream
    {
        private readonly MemoryStream _unread = new([.. Frame, .. Frame]);

        public MemoryStream Written { get; } = new();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await _unread.ReadAsync(buffer, cancellationToken) is > 0 and var count ? count : throw new OperationCanceledException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Written.WriteAsync(buffer, cancellationToken);
    }
}
