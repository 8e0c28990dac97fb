using ZeroDrop.Load;

namespace ZeroDrop.Measure;

internal enum RequestKind : byte { KeepAlive, NewConnection, Slow, Upload, Connector, Idle }

/// <summary>One answer: when, after how long, from whom.</summary>
internal readonly record struct AnswerEvent(long At, long Took, int Generation, RequestKind Kind);

/// <summary>One request without an answer.</summary>
internal readonly record struct FailureEvent(long At, RequestKind Kind, Failure Failure, int Status);

/// <summary>Takes down everything that happens. What it means is worked out afterwards, by <see cref="Analysis"/>.</summary>
internal sealed class Recorder
{
    public const int MaxGenerations = 1024;
    private const int ChunkSize = 1 << 16;
    private const int KeptFailures = 100_000; // the count goes on; their times do not

    private readonly Lock _gate = new();
    private readonly List<AnswerEvent[]> _chunks = [new AnswerEvent[ChunkSize]];
    private readonly List<FailureEvent> _failures = [];
    private readonly long[] _byGeneration = new long[MaxGenerations];
    private int _inChunk;
    private long _answered, _lost, _refused, _resets;

    public long Answered => Volatile.Read(ref _answered);
    public long Lost => Volatile.Read(ref _lost);
    public long Refused => Volatile.Read(ref _refused);
    public long Resets => Volatile.Read(ref _resets);

    /// <summary>The kept connections that are asked all the time.</summary>
    public ConnectionCounters KeepAlive { get; } = new();

    /// <summary>Those that are asked after a replacement only.</summary>
    public ConnectionCounters Idle { get; } = new();

    public void NoteAnswer(RequestKind kind, long began, int generation)
    {
        var now = Clock.Now;
        lock (_gate)
        {
            _answered++;
            _byGeneration[Math.Clamp(generation, 0, MaxGenerations - 1)]++;
            if (_inChunk == ChunkSize)
            {
                _chunks.Add(new AnswerEvent[ChunkSize]);
                _inChunk = 0;
            }

            _chunks[^1][_inChunk++] = new AnswerEvent(now, now - began, generation, kind);
        }
    }

    /// <summary>A reset request is lost, too; a refused one was never sent.</summary>
    public void NoteFailure(RequestKind kind, Failure failure, int status = 0)
    {
        lock (_gate)
        {
            _refused += failure == Failure.Refused ? 1 : 0;
            _resets += failure == Failure.Reset ? 1 : 0;
            _lost += failure == Failure.Refused ? 0 : 1;
            if (_failures.Count < KeptFailures)
            {
                _failures.Add(new FailureEvent(Clock.Now, kind, failure, status));
            }
        }
    }

    /// <summary>A kept connection was reset between two requests.</summary>
    public void NoteReset() => Interlocked.Increment(ref _resets);

    /// <summary>Copies the number of answers of each generation, by its index.</summary>
    public void CopyByGeneration(long[] counts)
    {
        lock (_gate)
        {
            _byGeneration.CopyTo(counts, 0);
        }
    }

    /// <summary>All answers, by time. Only after the load has ended.</summary>
    public AnswerEvent[] Answers()
    {
        lock (_gate)
        {
            AnswerEvent[] all = [.. _chunks.SkipLast(1).SelectMany(c => c), .. _chunks[^1].AsSpan(0, _inChunk)];
            Array.Sort(all, static (a, b) => a.At.CompareTo(b.At));
            return all;
        }
    }

    public FailureEvent[] Failures()
    {
        lock (_gate)
        {
            return [.. _failures];
        }
    }
}
