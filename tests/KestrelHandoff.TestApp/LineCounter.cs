using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.TestApp;

/// <summary>Answers each line with <c>GENERATION:COUNT:line</c>; the count goes on in the successor.</summary>
internal sealed class LineCounter(ISocketHandoff handoff) : ConnectionHandler
{
    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        var feature = connection.Features.Get<IConnectionHandoffFeature>()!;
        var count = feature.State is { } state ? int.Parse(Encoding.ASCII.GetString(state.Span), CultureInfo.InvariantCulture) : 0;
        var (input, output) = (connection.Transport.Input, connection.Transport.Output);
        await using var wake = feature.HandoffRequested.Register(input.CancelPendingRead);
        while (true)
        {
            var result = await input.ReadAsync();
            var rest = result.Buffer;
            while (rest.PositionOf((byte)'\n') is { } end)
            {
                var line = Encoding.ASCII.GetString(rest.Slice(0, end));
                rest = rest.Slice(rest.GetPosition(1, end));
                await output.WriteAsync(Encoding.ASCII.GetBytes($"{handoff.Generation}:{++count}:{line}\n"));
            }

            input.AdvanceTo(rest.Start, rest.End);
            if (result.IsCompleted || (result.IsCanceled && feature.TryHandOff(Encoding.ASCII.GetBytes($"{count}"))))
            {
                return;
            }
        }
    }
}
