using System.Text;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.TestApp;

/// <summary>Answers each line with <c>GENERATION:line</c>.</summary>
internal sealed class LineEcho(ISocketHandoff handoff) : ConnectionHandler
{
    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        using var reader = new StreamReader(connection.Transport.Input.AsStream());
        while (await reader.ReadLineAsync(connection.ConnectionClosed) is { } line)
        {
            await connection.Transport.Output.WriteAsync(Encoding.UTF8.GetBytes($"{handoff.Generation}:{line}\n"));
        }
    }
}
