using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Listeners;

/// <summary>The listeners of one instance. Two of them in a test are predecessor and successor.</summary>
internal sealed class ListenerHost : IAsyncDisposable
{
    private readonly ConnectionFactory _connections;
    private readonly HandoffListenerFactory _factory;

    public ListenerHost(TransportSettings? settings = null, TimeProvider? time = null)
    {
        settings ??= new TransportSettings();
        Table = new(TableLog);
        _connections = new(settings, null, NullLogger.Instance, new ConnectionRegistry());
        _factory = new(Table, _connections, settings, Log, time ?? TimeProvider.System);
    }

    public static IPEndPoint AnyPort => new(IPAddress.Loopback, 0);

    public ListenerTable Table { get; }

    public RecordingLogger<ListenerTable> TableLog { get; } = new();

    public RecordingLogger<HandoffListenerFactory> Log { get; } = new();

    public HandoffListenerFactory Factory => _factory;

    public async Task<HandoffListener> BindAsync(EndPoint? endPoint = null) =>
        (HandoffListener)await _factory.BindAsync(endPoint ?? AnyPort).OrHang();

    /// <summary>Sends a descriptor to ourselves, which is all that another process would see of it.</summary>
    public static async Task<ListenerDescriptor> PassAsync(ListenerDescriptor descriptor, bool inheritsPath = false)
    {
        using var pair = new SocketPair();
        await pair.Near.SendDescriptorsAsync(new byte[1], [descriptor]).OrHang();
        using var received = await pair.Far.ReceiveDescriptorsAsync(new byte[1]).OrHang();
        using var handle = received[0].TakeSocketHandle();
        return ListenerDescriptor.Adopt(descriptor.Name, handle, inheritsPath);
    }

    /// <summary>Takes over all that <paramref name="predecessor"/> listens on, as a successor does before it binds.</summary>
    public async Task JoinAsync(ListenerHost predecessor)
    {
        foreach (var listener in predecessor.Table.Listeners)
        {
            Table.Offer([await PassAsync(listener.Descriptor, listener.Descriptor.OwnedPath is not null)]);
        }

        Table.OpensAtBind = false;
    }

    /// <summary>A connection that does not come from a listener.</summary>
    public async Task<ConnectionContext> MakeConnectionAsync()
    {
        var (client, server) = await Connections.ConnectionPair.ConnectAsync();
        client.Dispose();
        return _connections.Create(server);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var listener in Table.Listeners)
        {
            await listener.DisposeAsync().OrHang();
        }

        Table.CloseUnclaimed();
    }
}

internal static class Clients
{
    public static async Task<Socket> ConnectAsync(EndPoint endPoint)
    {
        var client = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(endPoint).OrHang();
        return client;
    }

    public static async Task AssertRefusedAsync(EndPoint endPoint) => Assert.Equal(
        SocketError.ConnectionRefused, (await Assert.ThrowsAsync<SocketException>(() => ConnectAsync(endPoint))).SocketErrorCode);

    /// <summary>The listener gives the client's connection, or one before it.</summary>
    public static async Task AssertAcceptsAsync(this HandoffListener listener, Socket client)
    {
        await using var accepted = await listener.AcceptAsync().OrHang();
        Assert.Equal(client.LocalEndPoint, accepted!.RemoteEndPoint);
        Assert.Equal(listener.Name, ((HandoffConnection)accepted).ListenerName);
    }

    public static async Task AssertServesAsync(this HandoffListener listener)
    {
        using var client = await ConnectAsync(listener.EndPoint);
        await listener.AssertAcceptsAsync(client);
    }
}
