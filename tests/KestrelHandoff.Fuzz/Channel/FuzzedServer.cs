using System.Net.Sockets;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Fuzz.Channel;

/// <summary>The product's own control server. Who is greeted has his messages counted to the end, and is told how many they were.</summary>
internal sealed class FuzzedServer : IAsyncDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("fuzz-");
    private readonly ControlServer _server;

    public FuzzedServer()
    {
        // No session waits on purpose: whoever waits for as long as this has met a fault.
        var deadlines = new Deadlines(Options.Create(new SocketHandoffOptions { ExchangeTimeout = TimeSpan.FromMinutes(10) }), TimeProvider.System);
        _server = new(deadlines, TimeProvider.System, NullLogger<ControlServer>.Instance);
        _server.Start(ControlSocket.Bind(Path), CountAsync);
    }

    public string Path => System.IO.Path.Combine(_directory.FullName, "c");

    /// <summary>The first exception that a receive must not throw.</summary>
    public Exception? Fault { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    private async Task CountAsync(Greeting greeting)
    {
        var count = 0;
        while (await ReceiveAsync(greeting.Channel))
        {
            count++;
        }

        try
        {
            await greeting.Channel.SendAsync(new Migrated(count), CancellationToken.None);
        }
        catch (SocketException)
        {
            // an abrupt client does not wait for it
        }

        greeting.Channel.Dispose();
    }

    private async Task<bool> ReceiveAsync(ControlChannel channel)
    {
        try
        {
            using var received = await channel.ReceiveAsync(CancellationToken.None);
            return received is not null;
        }
        catch (Exception e) when (e is not (ControlException or EndOfStreamException))
        {
            Fault ??= e;
            throw;
        }
    }
}
