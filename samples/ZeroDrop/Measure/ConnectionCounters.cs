namespace ZeroDrop.Measure;

/// <summary>What became of kept HTTP connections.</summary>
/// <param name="Survived">Answered by a later generation than before, on the same TCP connection.</param>
/// <param name="ClosedAnnounced">Closed after an answer that said <c>Connection: close</c>.</param>
/// <param name="ClosedSilently">Closed by the app between two requests, and no answer had said so.</param>
internal readonly record struct ConnectionFates(long Survived, long ClosedAnnounced, long ClosedSilently);

/// <summary>Counts what becomes of the kept HTTP connections of one kind.</summary>
internal sealed class ConnectionCounters
{
    private readonly Lock _gate = new();
    private readonly ConnectionFates[] _byGeneration = new ConnectionFates[Recorder.MaxGenerations];
    private long _opened;

    /// <summary>TCP connections made and answered on.</summary>
    public long Opened => Volatile.Read(ref _opened);

    public ConnectionFates All
    {
        get
        {
            lock (_gate)
            {
                return new(_byGeneration.Sum(f => f.Survived), _byGeneration.Sum(f => f.ClosedAnnounced), _byGeneration.Sum(f => f.ClosedSilently));
            }
        }
    }

    /// <summary>Of the connections one generation had: those that the next has now, and those that it closed.</summary>
    public ConnectionFates Between(int from, int to)
    {
        lock (_gate)
        {
            return _byGeneration[Index(from)] with { Survived = _byGeneration[Index(to)].Survived };
        }
    }

    /// <param name="before">The generation that answered last on the same connection; 0 for its first answer.</param>
    /// <returns>The generation that has answered now.</returns>
    public int NoteAnswer(int before, int generation, bool isLast)
    {
        if (before == 0)
        {
            Interlocked.Increment(ref _opened);
        }

        Add(generation, new(before > 0 && generation > before ? 1 : 0, isLast ? 1 : 0, 0));
        return generation;
    }

    /// <param name="generation">The one that answered last.</param>
    public void NoteSilentClose(int generation) => Add(generation, new(0, 0, 1));

    private static int Index(int generation) => Math.Clamp(generation, 0, Recorder.MaxGenerations - 1);

    private void Add(int generation, ConnectionFates more)
    {
        lock (_gate)
        {
            ref var fates = ref _byGeneration[Index(generation)];
            fates = new(fates.Survived + more.Survived, fates.ClosedAnnounced + more.ClosedAnnounced, fates.ClosedSilently + more.ClosedSilently);
        }
    }
}
