using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using KestrelHandoff.Transport;

namespace KestrelHandoff.Tests.Descriptors;

public sealed class DescriptorRoundTripTests : IDisposable
{
    private readonly SocketPair _pair = new();
    private readonly byte[] _buffer = new byte[64];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _pair.Dispose();

    [Theory]
    [InlineData(SocketType.Stream)]
    [InlineData(SocketType.Seqpacket)]
    [InlineData(SocketType.Dgram)]
    public async Task Receive_File_HasBytesAndContent(SocketType type)
    {
        using var pair = new SocketPair(type);
        using var file = new TempFile();
        await pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [file.Handle], Cancel).OrHang();

        using var received = await pair.Far.ReceiveDescriptorsAsync(_buffer, cancellationToken: Cancel).OrHang();

        Assert.Equal("boy", Encoding.UTF8.GetString(_buffer, 0, received.BytesReceived));
        Assert.Equal(DescriptorKind.File, Assert.Single(received).Kind);
        Assert.Equal("hello world", received[0].ReadText());
    }

    [Fact]
    public async Task Receive_BeforeSend_WaitsForIt()
    {
        using var file = new TempFile();
        var receiving = _pair.Far.ReceiveDescriptorsAsync(_buffer, cancellationToken: Cancel).AsTask();
        Assert.False(receiving.IsCompleted);

        await _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [file.Handle], Cancel).OrHang();

        using var received = await receiving.OrHang();
        Assert.Equal(3, received.BytesReceived);
        Assert.Equal("hello world", received[0].ReadText());
    }

    [Fact]
    public async Task Receive_EmptyReceiveCameFirst_StillHasTheDescriptor()
    {
        using var file = new TempFile();
        await _pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [file.Handle], Cancel).OrHang();
        Assert.Equal(0, await _pair.Far.ReceiveAsync(Memory<byte>.Empty, Cancel).OrHang());

        using var received = await _pair.Far.ReceiveDescriptorsAsync(_buffer, cancellationToken: Cancel).OrHang();

        Assert.Equal(3, received.BytesReceived);
        Assert.Single(received);
    }

    [Fact]
    public async Task Receive_Pipe_CarriesBytes()
    {
        using var writer = new AnonymousPipeServerStream(PipeDirection.Out);
        using var received = await PassAsync(writer.ClientSafePipeHandle);
        Assert.Equal(DescriptorKind.Pipe, received[0].Kind);
        using var reader = new FileStream(received[0].TakeFileHandle(), FileAccess.Read, bufferSize: 0);

        writer.Write("hello"u8);

        Assert.Equal(5, await reader.ReadAsync(_buffer, Cancel).OrHang());
    }

    [Fact]
    public async Task Receive_ListeningSocket_Accepts()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var received = await PassAsync(listener.SafeHandle);
        Assert.Equal(DescriptorKind.ListeningSocket, received[0].Kind);
        using var adopted = new Socket(received[0].TakeSocketHandle());
        Assert.Equal(listener.LocalEndPoint, adopted.LocalEndPoint);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!, Cancel).OrHang();

        using var accepted = await adopted.AcceptAsync(Cancel).OrHang();

        Assert.Equal(client.LocalEndPoint, accepted.RemoteEndPoint);
    }

    [Fact]
    public async Task Receive_ConnectedSocket_TalksToItsPeer()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, Cancel).OrHang();
        using var server = await listener.AcceptSocketAsync(Cancel).OrHang();
        using var received = await PassAsync(server.SafeHandle);
        Assert.Equal(DescriptorKind.Socket, received[0].Kind);
        using var adopted = new Socket(received[0].TakeSocketHandle());

        await adopted.SendAsync("hello"u8.ToArray(), Cancel).OrHang();

        Assert.Equal(5, await client.GetStream().ReadAsync(_buffer, Cancel).OrHang());
    }

    [Fact]
    public async Task Kind_Device_IsOther()
    {
        using var device = File.OpenHandle("/dev/null");
        using var received = await PassAsync(device);
        Assert.Equal(DescriptorKind.Other, received[0].Kind);
    }

    [Fact]
    public async Task Receive_SeveralFiles_KeepsTheirOrder()
    {
        using var first = new TempFile("first");
        using var second = new TempFile("second");
        using var received = await PassAsync(first.Handle, second.Handle);
        Assert.Equal(["first", "second"], received.Select(descriptor => descriptor.ReadText()));
    }

    [Fact]
    public async Task Receive_Descriptor_IsCloseOnExec()
    {
        using var file = new TempFile();
        using var received = await PassAsync(file.Handle);
        Assert.True(OpenDescriptors.IsCloseOnExec(received[0]));
    }

    [Fact]
    public async Task Dispose_OneTaken_ClosesTheOthers()
    {
        using var file = new TempFile();
        var received = await PassAsync(file.Times(3));
        Assert.Equal(4, file.OpenCount);
        var taken = received[1].TakeFileHandle();

        received.Dispose();

        Assert.Equal(2, file.OpenCount);
        taken.Dispose();
        Assert.Equal(1, file.OpenCount);
    }

    [Fact]
    public async Task Take_Twice_ThrowsObjectDisposed()
    {
        using var file = new TempFile();
        using var received = await PassAsync(file.Handle);
        using var taken = received[0].TakeFileHandle();
        Assert.Throws<ObjectDisposedException>(() => received[0].TakeFileHandle());
        Assert.Throws<ObjectDisposedException>(() => received[0].TakeSocketHandle());
    }

    [Fact]
    public async Task TakeSocketHandle_File_ThrowsAndKeepsIt()
    {
        using var file = new TempFile();
        using var received = await PassAsync(file.Handle);
        var error = Assert.Throws<InvalidOperationException>(() => received[0].TakeSocketHandle());
        Assert.Contains("File", error.Message, StringComparison.Ordinal);
        Assert.Equal("hello world", received[0].ReadText());
    }

    private async Task<ReceivedDescriptors> PassAsync(params SafeHandle[] descriptors)
    {
        await _pair.Near.SendDescriptorsAsync("x"u8.ToArray(), descriptors, Cancel).OrHang();
        return await _pair.Far.ReceiveDescriptorsAsync(_buffer, cancellationToken: Cancel).OrHang();
    }
}
