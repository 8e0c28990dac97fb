namespace ZeroDrop.Measure;

/// <summary>What happened on the connections of one kind that stay open: WebSocket or raw TCP.</summary>
internal sealed class StreamCounters(string name)
{
    private long _messages, _lost, _cut, _announced, _moved;

    public string Name => name;
    public long Messages => Volatile.Read(ref _messages);

    /// <summary>Messages sent that were not echoed.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Connections that ended without a word; for raw TCP every end is one.</summary>
    public long Cut => Volatile.Read(ref _cut);

    /// <summary>Connections that ended with a close frame.</summary>
    public long Announced => Volatile.Read(ref _announced);

    /// <summary>How often a connection was answered by another generation than the time before.</summary>
    public long Moves => Volatile.Read(ref _moved);

    public void Echoed() => Interlocked.Increment(ref _messages);
    public void MessageLost() => Interlocked.Increment(ref _lost);
    public void WasCut() => Interlocked.Increment(ref _cut);
    public void WasAnnounced() => Interlocked.Increment(ref _announced);
    public void Moved() => Interlocked.Increment(ref _moved);
}
