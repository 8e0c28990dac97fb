using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport.Connections;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Connections;

/// <summary>A connection of ours and the client at its other end, over loopback TCP.</summary>
internal sealed class ConnectionPair : IAsyncDisposable
{
    private readonly ConnectionFactory _factory;
    private readonly bool _ownsFactory;

    private ConnectionPair(ConnectionFactory factory, ConnectionRegistry registry, Socket client, HandoffConnection connection, bool ownsFactory = true)
    {
        _ownsFactory = ownsFactory;
        _factory = factory;
        Registry = registry;
        Client = client;
        Connection = connection;
    }

    public ConnectionRegistry Registry { get; }

    public Socket Client { get; }

    public HandoffConnection Connection { get; }

    public static async Task<ConnectionPair> CreateAsync(
        TransportSettings? settings = null,
        ReadOnlyMemory<byte> received = default,
        TimeProvider? time = null,
        int? clientBuffer = null,
        string? listenerName = null,
        ILogger? logger = null)
    {
        var registry = new ConnectionRegistry();
        var factory = new ConnectionFactory(settings ?? new TransportSettings(), null, logger ?? NullLogger.Instance, registry, time);
        var (client, server) = await ConnectAsync(clientBuffer);
        return new ConnectionPair(
            factory,
            registry,
            client,
            received.IsEmpty ? factory.Create(server, listenerName: listenerName) : factory.Adopt(Moved(server, received), isBetween: false));
    }

    public static async Task<(Socket Client, Socket Server)> ConnectAsync(int? clientBuffer = null)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (clientBuffer is { } size)
        {
            client.ReceiveBufferSize = size; // before the connect: the window is announced there
        }

        await client.ConnectAsync(listener.LocalEndPoint!).OrHang();
        return (client, await listener.AcceptAsync().OrHang());
    }

    /// <summary>A replayed connection, whose server's answers are what <paramref name="replays"/> makes of them.</summary>
    public static async Task<ConnectionPair> ReplayAsync(IReplayOutput replays, string request, string answer, string received = "")
    {
        var registry = new ConnectionRegistry();
        var factory = new ConnectionFactory(new TransportSettings(), null, NullLogger.Instance, registry, replays: replays);
        var (client, server) = await ConnectAsync();
        var moved = Moved(server, Encoding.ASCII.GetBytes(received), new Replay(Encoding.ASCII.GetBytes(request), answer));
        return new ConnectionPair(factory, registry, client, factory.Adopt(moved, isBetween: true));
    }

    /// <summary>Another connection of the same factory; dispose it first.</summary>
    public async Task<ConnectionPair> AnotherAsync()
    {
        var (client, server) = await ConnectAsync();
        return new ConnectionPair(_factory, Registry, client, _factory.Create(server), ownsFactory: false);
    }

    /// <summary>A connection of the same factory, for a socket that was released.</summary>
    public HandoffConnection Adopt(ReleasedConnection released, bool isBetween = false) =>
        _factory.Adopt(released, isBetween);

    private static ReleasedConnection Moved(Socket socket, ReadOnlyMemory<byte> received, Replay? replay = null) => new()
    {
        Socket = socket,
        Leftover = received,
        ConnectionId = "moved",
        ListenerName = null,
        LocalEndPoint = null,
        RemoteEndPoint = null,
        Replay = replay,
    };

    /// <summary>Has the client send <paramref name="text"/>.</summary>
    public Task SendAsync(string text) => Client.SendAsync(Encoding.ASCII.GetBytes(text)).OrHang();

    /// <summary>Has the application write <paramref name="text"/>.</summary>
    public Task WriteAsync(string text) => Connection.WriteAsync(text);

    /// <summary>Has the application write <paramref name="count"/> bytes, whether the client reads or not.</summary>
    public Task WriteAsync(int count) => Connection.Transport.Output.WriteAsync(Pattern(count)).AsTask().OrHang();

    /// <summary>Has the client send <paramref name="count"/> bytes.</summary>
    public async Task SendAsync(int count)
    {
        var bytes = Pattern(count);
        for (var done = 0; done < count;)
        {
            done += await Client.SendAsync(bytes.AsMemory(done)).OrHang();
        }
    }

    /// <summary>Bytes that tell when some are missing, doubled or swapped.</summary>
    public static byte[] Pattern(int count)
    {
        var bytes = new byte[count];
        for (var i = 0; i < count; i++)
        {
            bytes[i] = (byte)(i * 31 + (i >> 8) * 7);
        }

        return bytes;
    }

    public Task<ReleasedConnection?> ReleaseAsync() => Connection.ReleaseAsync().OrHang();

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Connection.DisposeAsync().OrHang();
        if (_ownsFactory)
        {
            _factory.Dispose();
        }
    }
}

internal static class ConnectionReading
{
    /// <summary>Reads and consumes exactly <paramref name="count"/> bytes of what the client sent.</summary>
    public static async Task<byte[]> ReadExactlyAsync(this HandoffConnection connection, int count)
    {
        var result = await connection.Transport.Input.ReadAtLeastAsync(count).OrHang();
        var bytes = result.Buffer.Slice(0, count).ToArray();
        connection.Transport.Input.AdvanceTo(result.Buffer.GetPosition(count));
        return bytes;
    }

    public static Task WriteAsync(this HandoffConnection connection, string text) =>
        connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(text)).AsTask().OrHang();

    public static async Task<string> ReadTextAsync(this HandoffConnection connection, int count) =>
        Encoding.ASCII.GetString(await connection.ReadExactlyAsync(count));

    public static async Task<string> ReceiveTextAsync(this Socket socket, int count) =>
        Encoding.ASCII.GetString(await socket.ReceiveExactlyAsync(count));

    /// <summary>Receives exactly <paramref name="count"/> bytes.</summary>
    public static async Task<byte[]> ReceiveExactlyAsync(this Socket socket, int count)
    {
        var bytes = new byte[count];
        for (var done = 0; done < count;)
        {
            var part = await socket.ReceiveAsync(bytes.AsMemory(done)).OrHang();
            Assert.NotEqual(0, part);
            done += part;
        }

        return bytes;
    }

    /// <summary>Receives until FIN.</summary>
    /// <exception cref="SocketException">The connection was reset.</exception>
    public static async Task<byte[]> ReceiveToEndAsync(this Socket socket)
    {
        var all = new ArrayBufferWriter<byte>();
        while (await socket.ReceiveAsync(all.GetMemory(64 * 1024)).OrHang() is > 0 and var count)
        {
            all.Advance(count);
        }

        return all.WrittenSpan.ToArray();
    }

    /// <summary>Both ends still talk, no linger waits on the socket, and FIN comes only when this end says so.</summary>
    public static async Task AssertUntouchedAsync(Socket client, Socket server, string received = "")
    {
        Assert.False(server.LingerState!.Enabled);
        await client.SendAsync("ping"u8.ToArray(), SocketFlags.None).OrHang();
        Assert.Equal(received + "ping", await server.ReceiveTextAsync(received.Length + 4));
        await server.SendAsync("pong"u8.ToArray(), SocketFlags.None).OrHang();
        Assert.Equal("pong", await client.ReceiveTextAsync(4));
        Assert.Equal(0, client.Available);
        server.Shutdown(SocketShutdown.Both);
        Assert.Empty(await client.ReceiveToEndAsync());
    }

    /// <summary>Ends when the connection says it is closed.</summary>
    public static async Task ClosedAsync(this HandoffConnection connection)
    {
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = connection.ConnectionClosed.Register(closed.SetResult);
        await closed.Task.OrHang();
    }
}
