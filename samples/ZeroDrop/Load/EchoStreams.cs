using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;

namespace ZeroDrop.Load;

/// <summary>Raw TCP: one line out, one line back.</summary>
internal sealed class TcpEcho : IEchoStream
{
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;

    private TcpEcho(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new StreamReader(_stream, Encoding.ASCII);
    }

    public static async Task<IEchoStream> OpenAsync(EndPoint endPoint, CancellationToken timeout)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endPoint, timeout);
            return new TcpEcho(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task<string> EchoAsync(string text, CancellationToken timeout)
    {
        await _stream.WriteAsync(Encoding.ASCII.GetBytes(text + "\n"), timeout);
        return await _reader.ReadLineAsync(timeout) ?? throw new StreamEndedException(announced: false);
    }

    public void Dispose() => _reader.Dispose();
}

/// <summary>A WebSocket: one text message out, one back.</summary>
internal sealed class WebSocketEcho : IEchoStream
{
    private readonly WebSocket _socket;
    private readonly byte[] _buffer = new byte[256];

    private WebSocketEcho(WebSocket socket) => _socket = socket;

    public static async Task<IEchoStream> OpenAsync(EndPoint endPoint, string host, CancellationToken timeout)
    {
        var key = Convert.ToBase64String(Guid.NewGuid().ToByteArray());
        var upgrade = $"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
            $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n";
        using var connection = new HttpConnection(endPoint);
        using var expiry = timeout.Register(() => connection.Expire(long.MaxValue));
        if (await connection.ConnectAsync() != Failure.None
            || await connection.SendAsync(Encoding.ASCII.GetBytes(upgrade)) != Failure.None
            || await connection.ReceiveAsync() is not { Failure: Failure.None, Status: 101 })
        {
            throw new IOException("The WebSocket could not be opened.");
        }

        var stream = new NetworkStream(connection.TakeSocket(), ownsSocket: true);
        return new WebSocketEcho(WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = false }));
    }

    public async Task<string> EchoAsync(string text, CancellationToken timeout)
    {
        try
        {
            await _socket.SendAsync(Encoding.ASCII.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, timeout);
            var result = await _socket.ReceiveAsync(_buffer.AsMemory(), timeout);
            return result.MessageType == WebSocketMessageType.Close
                ? throw new StreamEndedException(announced: true)
                : Encoding.ASCII.GetString(_buffer, 0, result.Count);
        }
        catch (WebSocketException)
        {
            throw new StreamEndedException(announced: false);
        }
    }

    public void Dispose() => _socket.Dispose();
}
