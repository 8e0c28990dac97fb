using System.Globalization;
using System.Net.Sockets;
using ZeroDrop.Measure;

namespace ZeroDrop.Load;

/// <summary>How a stream ended.</summary>
internal sealed class StreamEndedException(bool announced) : Exception
{
    public bool Announced => announced;
}

/// <summary>An open connection on which one text at a time is echoed as <c>GENERATION:text</c>.</summary>
internal interface IEchoStream : IDisposable
{
    /// <exception cref="StreamEndedException">The other side has closed.</exception>
    Task<string> EchoAsync(string text, CancellationToken timeout);
}

/// <summary>Keeps one stream open, sends on it twenty times a second and opens it again when it ends.</summary>
internal sealed class StreamClient(LoadContext context, StreamCounters counters, Func<CancellationToken, Task<IEchoStream>> open)
{
    private const double PeriodMs = 50;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly Pulse _pulse = new();
    private IEchoStream? _stream;
    private string _generation = "";

    public async Task RunAsync()
    {
        for (var count = 0; !context.Stopping.IsCancellationRequested; count++)
        {
            await OnceAsync(count.ToString(CultureInfo.InvariantCulture));
            await context.Pacer.UntilAsync(_pulse, Clock.Now + Clock.Ticks(PeriodMs));
        }

        _stream?.Dispose();
    }

    private async Task OnceAsync(string text)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(context.Aborting);
        timeout.CancelAfter(Timeout);
        var sent = false;
        try
        {
            if (_stream is null)
            {
                _generation = "";
                _stream = await open(timeout.Token);
            }

            sent = true;
            Check(await _stream.EchoAsync(text, timeout.Token), text);
        }
        catch (Exception e) when (e is SocketException or IOException or StreamEndedException or OperationCanceledException)
        {
            End(e, sent);
        }
    }

    private void Check(string answer, string text)
    {
        var colon = answer.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0 || !answer.AsSpan(colon + 1).SequenceEqual(text))
        {
            counters.MessageLost();
            return;
        }

        counters.Echoed();
        var generation = answer[..colon];
        if (_generation != "" && _generation != generation)
        {
            counters.Moved();
        }

        _generation = generation;
    }

    private void End(Exception e, bool sent)
    {
        if (e is StreamEndedException { Announced: true })
        {
            counters.WasAnnounced(); // a text sent into the close handshake is the client's to send again: it has been told
        }
        else if (sent)
        {
            counters.WasCut();
            counters.MessageLost();
        }
        else
        {
            context.Recorder.NoteFailure(RequestKind.NewConnection, Failure.Refused);
        }

        _stream?.Dispose();
        _stream = null;
    }
}
