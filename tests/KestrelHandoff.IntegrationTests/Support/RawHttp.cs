using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>One HTTP/1.1 connection that never retries and never dials again: what happens to it is seen.</summary>
internal sealed class RawHttp : IAsyncDisposable
{
    private readonly Stream _stream;
    private readonly StreamReader _reader;

    private RawHttp(Stream stream)
    {
        _stream = stream;
        _reader = new StreamReader(_stream, Encoding.Latin1);
    }

    public static Task<RawHttp> ConnectAsync(Uri address) => ConnectAsync(new IPEndPoint(IPAddress.Parse(address.Host), address.Port));

    public static async Task<RawHttp> ConnectAsync(EndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(address).OrHang();
            if (address is IPEndPoint)
            {
                socket.NoDelay = true; // each write is a segment of its own
            }

            return new RawHttp(new NetworkStream(socket, ownsSocket: true));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The same under TLS, whatever the certificate.</summary>
    public static async Task<RawHttp> ConnectTlsAsync(Uri address)
    {
        var plain = await ConnectAsync(address);
        var stream = new SslStream(plain._stream, leaveInnerStreamOpen: false, static (_, certificate, _, _) => certificate is not null);
        await stream.AuthenticateAsClientAsync("localhost").OrHang();
        return new RawHttp(stream);
    }

    /// <summary>One request on a connection of its own.</summary>
    public static async Task<string> GetOnceAsync(Uri address)
    {
        await using var connection = await ConnectAsync(address);
        var answer = await connection.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.Equal(200, answer.Status);
        await connection.EndAsync();
        return answer.Body;
    }

    public Task<RawAnswer> GetAsync(string path) => SendAsync($"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");

    /// <summary>Asks until that generation answers: what is on its way is answered by the one or the other.</summary>
    public async Task<RawAnswer> GetFromAsync(int generation)
    {
        var answer = await GetAsync("/");
        while (answer.Body != $"{generation}")
        {
            answer = await GetAsync("/");
        }

        return answer;
    }

    public async Task<RawAnswer> SendAsync(string request)
    {
        await WriteAsync(request);
        return await ReadAnswerAsync();
    }

    public Task WriteAsync(string text) => _stream.WriteAsync(Encoding.Latin1.GetBytes(text)).OrHang();

    public async Task<RawAnswer> ReadAnswerAsync()
    {
        var first = await ReadLineAsync();
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        while (await ReadLineAsync() is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            headers[line[..colon]] = line[(colon + 1)..].Trim();
        }

        return new RawAnswer(
            int.Parse(first.Split(' ')[1], CultureInfo.InvariantCulture),
            headers.TryGetValue("Connection", out var connection) && connection == "close",
            headers.ContainsKey("Transfer-Encoding") ? await ReadChunksAsync() : await ReadAsync(int.Parse(headers["Content-Length"], CultureInfo.InvariantCulture)));
    }

    public async Task<string> ReadLineAsync() =>
        await _reader.ReadLineAsync().OrHang() ?? throw new EndOfStreamException("The server closed the connection.");

    /// <summary>Waits for FIN; anything else fails.</summary>
    public async Task EndAsync() => Assert.Equal("", await _reader.ReadToEndAsync().OrHang());

    /// <summary>Sends FIN and still reads.</summary>
    public void CloseOwnSide() => ((NetworkStream)_stream).Socket.Shutdown(SocketShutdown.Send);

    /// <summary>Ends it with RST.</summary>
    public void Reset()
    {
        ((NetworkStream)_stream).Socket.LingerState = new LingerOption(enable: true, seconds: 0);
        ((NetworkStream)_stream).Socket.Close();
    }

    public async ValueTask DisposeAsync()
    {
        _reader.Dispose();
        await _stream.DisposeAsync();
    }

    private async Task<string> ReadChunksAsync()
    {
        var all = new StringBuilder();
        while (int.Parse(await ReadLineAsync(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) is > 0 and var length)
        {
            all.Append(await ReadAsync(length));
            await ReadLineAsync();
        }

        await ReadLineAsync();
        return all.ToString();
    }

    private async Task<string> ReadAsync(int length)
    {
        var text = new char[length];
        var count = length == 0 ? 0 : await _reader.ReadBlockAsync(text).OrHang(); // of nothing, it would wait for the next answer
        return count == length ? new string(text) : throw new EndOfStreamException($"The answer ended after {count} of {length} bytes.");
    }
}

/// <summary>An answer; <c>IsLast</c> if it says <c>Connection: close</c>.</summary>
internal sealed record RawAnswer(int Status, bool IsLast, string Body);
