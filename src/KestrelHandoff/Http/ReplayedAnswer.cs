using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Http;

/// <summary>Keeps the head of the answer to a replayed request from the client, who has had one; everything after it passes.</summary>
internal sealed class ReplayedAnswer(PipeWriter output, Replay replay) : ReplayedOutput
{
    private static readonly byte[] EndOfHead = "\r\n\r\n"u8.ToArray();

    private readonly TaskCompletionSource<bool> _isSame = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ArrayBufferWriter<byte>? _head = new();
    private bool _isOver; // the client was told to come back; the rest of the answer is for nobody

    public override Task<bool> IsSame => _isSame.Task;

    public override bool CanGetUnflushedBytes => _head is not null || output.CanGetUnflushedBytes;

    public override long UnflushedBytes => _head?.WrittenCount ?? output.UnflushedBytes;

    public override Memory<byte> GetMemory(int sizeHint = 0) => _head?.GetMemory(sizeHint) ?? output.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => _head is null ? output.GetSpan(sizeHint) : _head.GetSpan(sizeHint);

    public override void Advance(int bytes)
    {
        if (_head is null)
        {
            output.Advance(bytes);
        }
        else
        {
            _head.Advance(bytes);
        }
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (_head is not null && !TryPassHead())
        {
            return new(new FlushResult(isCanceled: false, isCompleted: false)); // completed, it would have the server reset the connection
        }

        return output.FlushAsync(cancellationToken);
    }

    public override void CancelPendingFlush() => output.CancelPendingFlush();

    public override void Complete(Exception? exception = null)
    {
        if (_head is not null && !_isOver)
        {
            SayGoodbye(); // the server ends without an answer
        }

        output.Complete(exception);
    }

    /// <returns>False: what was written is not for the client.</returns>
    private bool TryPassHead()
    {
        if (_isOver)
        {
            _head!.ResetWrittenCount();
            return false;
        }

        var written = _head!.WrittenSpan;
        var length = written.IndexOf(EndOfHead);
        if (length < 0)
        {
            return false;
        }

        if (Describe(written[..length]) != replay.Answer)
        {
            _head.ResetWrittenCount();
            SayGoodbye();
            output.Complete();
            return false;
        }

        output.Write(written[(length + EndOfHead.Length)..]);
        _head = null;
        _isSame.SetResult(true);
        return true;
    }

    private void SayGoodbye()
    {
        _isOver = true;
        output.Write(replay.Answer.StartsWith(WebSocketAnswer.Status, StringComparison.Ordinal) ? WebSocketAnswer.Restart : EventStreamAnswer.End);
        _isSame.SetResult(false);
    }

    private static string Describe(ReadOnlySpan<byte> head)
    {
        var lines = Encoding.UTF8.GetString(head).Split("\r\n");
        return lines[0].Split(' ') switch
        {
            [_, WebSocketAnswer.Status, ..] => WebSocketAnswer.Describe(Header),
            [_, EventStreamAnswer.Status, ..] when Header("Transfer-Encoding") == "chunked" => EventStreamAnswer.Describe(Header),
            _ => lines[0],
        };

        string Header(string name)
        {
            var values = lines.Skip(1)
                .Where(line => line.Length > name.Length && line[name.Length] == ':' && line.StartsWith(name, StringComparison.OrdinalIgnoreCase))
                .Select(line => line[(name.Length + 1)..].Trim());
            return string.Join(',', values);
        }
    }
}

/// <inheritdoc/>
internal sealed class ReplayOutput : IReplayOutput
{
    public ReplayedOutput Behind(PipeWriter output, Replay replay) => new ReplayedAnswer(output, replay);
}
