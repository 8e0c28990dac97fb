using System.Globalization;
using System.Net.WebSockets;
using System.Text;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>A client of <c>/ws-moving</c> that checks each answer: the next number of the same connection, and what it sent.</summary>
internal sealed class CountingSocket : IDisposable
{
    private readonly byte[] _buffer = new byte[4096];
    private int _count;

    private CountingSocket(ClientWebSocket socket) => Socket = socket;

    public ClientWebSocket Socket { get; }

    /// <summary>The generation that answered last.</summary>
    public int Generation { get; private set; } = 1;

    public static async Task<CountingSocket> OpenAsync(MigratingApp app, string path = "", WebSocketDeflateOptions? compression = null)
    {
        var self = new CountingSocket(new ClientWebSocket());
        self.Socket.Options.DangerousDeflateOptions = compression;
        await self.Socket.ConnectAsync(new Uri($"ws://{app.Authority}/ws-moving{path}"), CancellationToken.None).OrHang();
        return self;
    }

    public async Task CountAsync()
    {
        var text = new string((char)('a' + _count % 26), 1 + _count * 7 % 600); // of many lengths, beyond the server's buffer
        await SendAsync(text, isLast: true);
        await HearAsync(text);
    }

    public Task SendAsync(string text, bool isLast) =>
        Socket.SendAsync(Encoding.ASCII.GetBytes(text), WebSocketMessageType.Text, isLast, CancellationToken.None).OrHang();

    public async Task HearAsync(string text)
    {
        var answer = (await ReceiveAsync()).Split(':');
        Assert.Equal(($"{++_count}", text), (answer[1], answer[2]));
        var generation = int.Parse(answer[0], CultureInfo.InvariantCulture);
        Assert.True(generation >= Generation);
        Generation = generation;
    }

    /// <summary>Waits for the server's close frame.</summary>
    public async Task<int> ClosedAsync()
    {
        var received = await Socket.ReceiveAsync(_buffer, CancellationToken.None).OrHang();
        Assert.Equal(WebSocketMessageType.Close, received.MessageType);
        return (int)Socket.CloseStatus!;
    }

    public Task CloseAsync() => Socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None).OrHang();

    public void Dispose() => Socket.Dispose();

    private async Task<string> ReceiveAsync()
    {
        var text = new StringBuilder();
        while (true)
        {
            var received = await Socket.ReceiveAsync(_buffer, CancellationToken.None).OrHang();
            Assert.Equal(WebSocketMessageType.Text, received.MessageType);
            text.Append(Encoding.ASCII.GetString(_buffer, 0, received.Count));
            if (received.EndOfMessage)
            {
                return text.ToString();
            }
        }
    }
}
