using System.Net.Sockets;
using KestrelHandoff.Transport;

namespace KestrelHandoff.Tests.Descriptors;

public sealed class DescriptorWaitTests : IDisposable
{
    private readonly SocketPair _pair = new();
    private readonly TempFile _file = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _pair.Dispose();
        _file.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Send_SlowPeer_ArrivesIntactWithDescriptorsOnce(bool fullBefore)
    {
        var before = fullBefore ? SocketPair.Fill(_pair.Near) : 0;
        var payload = new byte[1024 * 1024];
        Random.Shared.NextBytes(payload);
        var sending = _pair.Near.SendDescriptorsAsync(payload, _file.Times(2), Cancel).AsTask();
        Assert.False(sending.IsCompleted);

        var all = new byte[before + payload.Length];
        int total = 0, descriptors = 0;
        while (total < all.Length)
        {
            using var received = await _pair.Far.ReceiveDescriptorsAsync(all.AsMemory(total), cancellationToken: Cancel).OrHang();
            Assert.NotEqual(0, received.BytesReceived);
            total += received.BytesReceived;
            descriptors += received.Count;
        }

        await sending.OrHang();
        Assert.Equal(2, descriptors);
        Assert.True(payload.AsSpan().SequenceEqual(all.AsSpan(before)));
        Assert.Equal(1, _file.OpenCount);
    }

    [Fact]
    public async Task Send_ManySocketsWait_EachGoesOnWhenItsPeerReads()
    {
        var pairs = Enumerable.Range(0, 100).Select(_ => new SocketPair()).ToArray();
        var full = pairs.Select(pair => SocketPair.Fill(pair.Near)).ToArray();
        var sends = pairs.Select(pair => pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).AsTask()).ToArray();
        for (var i = pairs.Length - 1; i >= 0; i--)
        {
            Assert.False(sends[i].IsCompleted);
            var descriptors = 0;
            for (var left = full[i] + 3; left > 0;)
            {
                using var received = await pairs[i].Far.ReceiveDescriptorsAsync(new byte[left], cancellationToken: Cancel).OrHang();
                left -= received.BytesReceived;
                descriptors += received.Count;
            }

            Assert.Equal(1, descriptors);
            await sends[i].OrHang();
            pairs[i].Dispose();
        }
    }

    [Theory]
    [InlineData(SocketType.Stream)]
    [InlineData(SocketType.Seqpacket)]
    [InlineData(SocketType.Dgram)]
    public async Task Send_CancelledWhileWaiting_LeavesNothingBehind(SocketType type)
    {
        using var pair = new SocketPair(type);
        SocketPair.Fill(pair.Near);
        var socket = OpenDescriptors.TargetOf(pair.Near.SafeHandle);
        using var cancel = new CancellationTokenSource();
        var sending = pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], cancel.Token).AsTask();
        Assert.False(sending.IsCompleted);
        Assert.Equal(2, OpenDescriptors.Count(socket));

        await cancel.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending.OrHang());
        Assert.Equal(cancel.Token, error.CancellationToken);
        Assert.Equal(1, OpenDescriptors.Count(socket));
        Assert.Equal(1, _file.OpenCount);
    }

    [Fact]
    public async Task Send_DisposedWhileWaiting_IsAborted()
    {
        SocketPair.Fill(_pair.Near);
        var socket = OpenDescriptors.TargetOf(_pair.Near.SafeHandle);
        var sending = _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).AsTask();

        _pair.Near.Dispose();

        var error = await Assert.ThrowsAsync<SocketException>(() => sending.OrHang());
        Assert.Equal(SocketError.OperationAborted, error.SocketErrorCode);
        Assert.Equal(0, OpenDescriptors.Count(socket));
    }

    [Fact]
    public async Task Send_PeerClosesWhileWaiting_ThrowsBrokenPipe()
    {
        SocketPair.Fill(_pair.Near);
        var sending = _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).AsTask();

        _pair.Far.Dispose();

        var error = await Assert.ThrowsAsync<SocketException>(() => sending.OrHang());
        Assert.Contains(error.SocketErrorCode, new[] { SocketError.Shutdown, SocketError.ConnectionReset });
    }

    [Fact]
    public async Task Receive_CancelledWhileWaiting_LosesNothing()
    {
        using var cancel = new CancellationTokenSource();
        var receiving = _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: cancel.Token).AsTask();
        Assert.False(receiving.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receiving.OrHang());

        await _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).OrHang();

        using var received = await _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: Cancel).OrHang();
        Assert.Equal((3, 1), (received.BytesReceived, received.Count));
        Assert.Equal(2, _file.OpenCount);
    }

    [Fact]
    public async Task Receive_CancelRacesTheSend_DescriptorIsNeitherLostNorLeaked()
    {
        for (var i = 0; i < 200; i++)
        {
            using var cancel = new CancellationTokenSource();
            var receiving = _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: cancel.Token).AsTask();
            var cancelling = Task.Run(cancel.Cancel, Cancel);
            await _pair.Near.SendDescriptorsAsync("x"u8.ToArray(), [_file.Handle], Cancel).OrHang();
            await cancelling.OrHang();
            ReceivedDescriptors received;
            try
            {
                received = await receiving.OrHang();
            }
            catch (OperationCanceledException)
            {
                received = await _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: Cancel).OrHang();
            }

            Assert.Equal((1, 1), (received.BytesReceived, received.Count));
            received.Dispose();
        }

        Assert.Equal(1, _file.OpenCount);
    }

    [Fact]
    public async Task Receive_DisposedWhileWaiting_IsAborted()
    {
        var receiving = _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: Cancel).AsTask();

        _pair.Far.Dispose();

        var error = await Assert.ThrowsAsync<SocketException>(() => receiving.OrHang());
        Assert.Equal(SocketError.OperationAborted, error.SocketErrorCode);
    }

    [Fact]
    public async Task Receive_PeerClosesWhileWaiting_GivesZeroBytes()
    {
        var receiving = _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: Cancel).AsTask();

        _pair.Near.Dispose();

        using var received = await receiving.OrHang();
        Assert.Equal(0, received.BytesReceived);
        Assert.Empty(received);
    }

    [Fact]
    public async Task SendAndReceive_AlreadyCancelled_DoNothing()
    {
        var cancelled = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], cancelled).OrHang());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => _pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: cancelled).OrHang());
        Assert.Equal(0, _pair.Far.Available);
    }
}
