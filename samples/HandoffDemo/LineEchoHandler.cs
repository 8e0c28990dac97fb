using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelHandoff;
using Microsoft.AspNetCore.Connections;

namespace HandoffDemo;

/// <summary>Raw TCP without HTTP: answers each line with <c>GENERATION:line</c>. Its connections move with a handoff.</summary>
internal sealed class LineEchoHandler(Generation generation) : ConnectionHandler
{
    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        var (input, output) = (connection.Transport.Input, connection.Transport.Output);
        var handoff = connection.Features.Get<IConnectionHandoffFeature>();
        await using var wake = handoff?.HandoffRequested.Register(input.CancelPendingRead) ?? default;
        while (true)
        {
            var result = await input.ReadAsync();
            var buffer = result.Buffer;
            while (buffer.PositionOf((byte)'\n') is { } end)
            {
                Answer(output, buffer.Slice(0, end));
                buffer = buffer.Slice(buffer.GetPosition(1, end));
            }

            input.AdvanceTo(buffer.Start, buffer.End);
            await output.FlushAsync();
            if (result.IsCompleted || (result.IsCanceled && handoff?.TryHandOff() == true))
            {
                return; // the client has gone, or goes on with the successor, which reads what is left of a line
            }
        }
    }

    private void Answer(PipeWriter output, ReadOnlySequence<byte> line)
    {
        Encoding.ASCII.GetBytes($"{generation.Number}:", output);
        foreach (var part in line)
        {
            output.Write(part.Span);
        }

        output.Write("\n"u8);
    }
}
