using System.Buffers;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.TestApp;

/// <summary>What implementations of the PROXY protocol do: a line before HTTP, once for a connection.</summary>
internal static class Preamble
{
    public static async Task ReadAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        while (true)
        {
            var read = await connection.Transport.Input.ReadAsync();
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                if (!read.Buffer.FirstSpan.StartsWith("PROXY "u8))
                {
                    return; // the connection ends
                }

                connection.Transport.Input.AdvanceTo(read.Buffer.GetPosition(1, end));
                await next(connection);
                return;
            }

            connection.Transport.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted || read.IsCanceled)
            {
                return;
            }
        }
    }
}
