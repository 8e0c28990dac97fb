using System.Net;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Load;

/// <summary>A client that asks exactly as often as it is told: wrk counts seconds, not requests.</summary>
internal sealed class RawConnection : IDisposable
{
    private static readonly byte[] KeepAliveRequest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray();
    private static readonly byte[] CloseRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"u8.ToArray();
    private static readonly byte[] Start = "HTTP/1.1 200 "u8.ToArray();
    private static readonly byte[] End = Encoding.ASCII.GetBytes("\r\n\r\n" + BenchmarkServer.Plaintext);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] _buffer = new byte[512];

    public static async Task<RawConnection> OpenAsync(Uri address, CancellationToken cancel)
    {
        var connection = new RawConnection();
        try
        {
            await connection._socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(address.Host), address.Port), cancel);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>One connection for one request; returns when the server has closed it.</summary>
    public static async Task AskOnceAsync(Uri address, CancellationToken cancel)
    {
        using var connection = await OpenAsync(address, cancel);
        await connection.AskAsync(CloseRequest, cancel);
        if (await connection._socket.ReceiveAsync(connection._buffer, cancel) > 0)
        {
            throw new InvalidOperationException("More came than the answer.");
        }
    }

    public Task AskAsync(CancellationToken cancel) => AskAsync(KeepAliveRequest, cancel);

    public void Dispose() => _socket.Dispose();

    private async Task AskAsync(byte[] request, CancellationToken cancel)
    {
        await _socket.SendAsync(request, cancel);
        var read = 0;
        while (!_buffer.AsSpan(0, read).EndsWith(End))
        {
            var count = await _socket.ReceiveAsync(_buffer.AsMemory(read), cancel);
            if (count == 0)
            {
                throw new InvalidOperationException($"The server closed the connection, or its answer is too long:\n{Encoding.ASCII.GetString(_buffer, 0, read)}");
            }

            read += count;
        }

        if (!_buffer.AsSpan(0, read).StartsWith(Start))
        {
            throw new InvalidOperationException($"The server did not answer 200:\n{Encoding.ASCII.GetString(_buffer, 0, read)}");
        }
    }
}
