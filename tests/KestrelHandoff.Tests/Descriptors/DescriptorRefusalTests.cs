using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport;
using Microsoft.Win32.SafeHandles;

namespace KestrelHandoff.Tests.Descriptors;

public sealed class DescriptorRefusalTests : IDisposable
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
    [InlineData(0, 1)]
    [InlineData(3, 4)]
    public async Task Receive_MoreDescriptorsThanAccepted_ClosesAllAndSaysBothNumbers(int accepted, int sent)
    {
        await _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), _file.Times(sent), Cancel).OrHang();

        var error = await Assert.ThrowsAsync<IOException>(() => _pair.Far.ReceiveDescriptorsAsync(new byte[9], accepted, Cancel).OrHang());

        Assert.Contains($"sent {sent} descriptors, but at most {accepted}", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _file.OpenCount);
    }

    [Theory]
    [InlineData(SocketType.Seqpacket)]
    [InlineData(SocketType.Dgram)]
    public async Task Receive_MessageLongerThanBuffer_ClosesAllAndSaysSo(SocketType type)
    {
        using var pair = new SocketPair(type);
        await pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).OrHang();

        var error = await Assert.ThrowsAsync<IOException>(
            () => pair.Far.ReceiveDescriptorsAsync(new byte[2], cancellationToken: Cancel).OrHang());

        Assert.Contains("buffer of 2 bytes", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _file.OpenCount);
    }

    [Fact]
    public async Task Send_NoDescriptors_SendsTheBytes()
    {
        await _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [], Cancel).OrHang();
        using var received = await _pair.Far.ReceiveDescriptorsAsync(new byte[9], 0, Cancel).OrHang();
        Assert.Equal(3, received.BytesReceived);
        Assert.Empty(received);
    }

    [Fact]
    public async Task Send_NothingAtAll_Completes() => await _pair.Near.SendDescriptorsAsync(default, [], Cancel).OrHang();

    [Fact]
    public async Task Send_PeerClosed_ThrowsSocketException()
    {
        _pair.Far.Dispose();
        var error = await Assert.ThrowsAsync<SocketException>(
            () => _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).OrHang());
        Assert.Equal(SocketError.Shutdown, error.SocketErrorCode);
        Assert.Contains("sendmsg failed: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Send_LongDatagram_ThrowsMessageSize()
    {
        using var pair = new SocketPair(SocketType.Seqpacket);
        var error = await Assert.ThrowsAsync<SocketException>(
            () => pair.Near.SendDescriptorsAsync(new byte[16 * 1024 * 1024], [_file.Handle], Cancel).OrHang());
        Assert.Equal(SocketError.MessageSize, error.SocketErrorCode);
    }

    [Fact]
    public void Send_InvalidDescriptors_Throws()
    {
        using var invalid = new SafeFileHandle(-1, ownsHandle: false);
        var closed = File.OpenHandle("/dev/null");
        closed.Dispose();
        Send<ArgumentException>([_file.Handle, invalid]);
        Send<ObjectDisposedException>([closed]);
        Send<ArgumentNullException>([null!]);
        Send<ArgumentNullException>(null!);

        void Send<TException>(IReadOnlyList<SafeHandle> descriptors)
            where TException : Exception =>
            Assert.Throws<TException>(() => { _ = _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), descriptors, Cancel).AsTask(); });
    }

    [Fact]
    public void Receive_InvalidArguments_Throws()
    {
        Assert.Throws<ArgumentException>(
            "buffer", () => { _ = _pair.Far.ReceiveDescriptorsAsync(default, cancellationToken: Cancel).AsTask(); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = _pair.Far.ReceiveDescriptorsAsync(new byte[1], -1, Cancel).AsTask(); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { _ = _pair.Far.ReceiveDescriptorsAsync(new byte[1], 254, Cancel).AsTask(); });
    }

    [Fact]
    public void AnyCall_SocketOfAnotherFamily_ThrowsAndNamesIt()
    {
        using var tcp = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var error = Assert.Throws<ArgumentException>(
            "socket", () => { _ = tcp.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).AsTask(); });
        Assert.Contains("InterNetwork", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(
            "socket", () => { _ = tcp.ReceiveDescriptorsAsync(new byte[1], cancellationToken: Cancel).AsTask(); });
        Assert.Throws<ArgumentException>("socket", () => tcp.GetPeerCredentials());
    }

    [Fact]
    public void AnyCall_DisposedSocket_ThrowsObjectDisposed()
    {
        _pair.Near.Dispose();
        Assert.Throws<ObjectDisposedException>(
            () => { _ = _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [_file.Handle], Cancel).AsTask(); });
        Assert.Throws<ObjectDisposedException>(
            () => { _ = _pair.Near.ReceiveDescriptorsAsync(new byte[1], cancellationToken: Cancel).AsTask(); });
        Assert.Throws<ObjectDisposedException>(() => _pair.Near.GetPeerCredentials());
    }

    [Fact]
    public void GetPeerCredentials_ConnectedPair_AreThisProcess()
    {
        var peer = _pair.Near.GetPeerCredentials();
        var ids = File.ReadAllLines("/proc/self/status").ToLookup(line => line.Split('\t')[0], line => line.Split('\t')[2..]);
        Assert.Equal(Environment.ProcessId, peer.ProcessId);
        Assert.Equal(ids["Uid:"].Single()[0], $"{peer.UserId}");
        Assert.Equal(ids["Gid:"].Single()[0], $"{peer.GroupId}");
    }

    [Fact]
    public void GetPeerCredentials_NotConnected_Throws()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        Assert.Equal(SocketError.NotConnected, Assert.Throws<SocketException>(() => socket.GetPeerCredentials()).SocketErrorCode);
    }
}
