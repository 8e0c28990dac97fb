using System.IO.Pipelines;

namespace KestrelHandoff.Http;

/// <summary>The server's own writer, with the stream of events told of everything that passes.</summary>
internal sealed class EventWriter(EventStream events, PipeWriter output) : PipeWriter
{
    private Memory<byte> _memory;

    public override bool CanGetUnflushedBytes => output.CanGetUnflushedBytes;

    public override long UnflushedBytes => output.UnflushedBytes;

    public override Memory<byte> GetMemory(int sizeHint = 0) => _memory = output.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        events.Pass(_memory.Span[..bytes]);
        _memory = _memory[bytes..];
        output.Advance(bytes);
    }

    public override async ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        events.BeginFlush();
        var isDone = false;
        try
        {
            var result = await output.FlushAsync(cancellationToken);
            isDone = true;
            return result;
        }
        finally
        {
            events.EndFlush(isDone);
        }
    }

    public override void CancelPendingFlush() => output.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => output.Complete(exception);
}
