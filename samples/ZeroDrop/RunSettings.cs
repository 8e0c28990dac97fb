namespace ZeroDrop;

/// <summary>How one instance is replaced by the next.</summary>
internal enum RunMode
{
    /// <summary>By <c>POST /admin/handoff</c>.</summary>
    Handoff,

    /// <summary>By SIGTERM, a wait for the exit, and a start on the same port.</summary>
    StopStart,
}

/// <summary>What to run; times in seconds where the name says nothing else.</summary>
internal sealed record RunSettings
{
    public required IReadOnlyList<RunMode> Modes { get; init; }
    public int Handoffs { get; init; }
    public double Interval { get; init; }
    public double Probation { get; init; }
    public double Duration { get; init; }

    /// <summary>Every second replacement is made to fail.</summary>
    public bool Failing { get; init; }
    public int KeepAlive { get; init; }
    public double Rate { get; init; }
    public int NewConnections { get; init; }
    public int Slow { get; init; }
    public int SlowMs { get; init; }
    public int Idle { get; init; }
    public int Uploads { get; init; }
    public int UploadBytes { get; init; }
    public int Connectors { get; init; }
    public int WebSockets { get; init; }
    public int Tcp { get; init; }
    public bool Json { get; init; }
    public bool Quiet { get; init; }
    public string? Url { get; init; }
    public string? TcpEndPoint { get; init; }
    public required string App { get; init; }

    /// <summary>The load in words.</summary>
    public string Describe()
    {
        (int Count, string Text)[] parts =
        [
            (KeepAlive, $"{KeepAlive} keep-alive × {Rate:0.#}/s"),
            (NewConnections, $"{NewConnections} new connections/s"),
            (Slow, $"{Slow} requests of {SlowMs / 1000.0:0.##} s in flight"),
            (Idle, $"{Idle} idle"),
            (Uploads, $"{Uploads} uploads of {UploadBytes / 1024} KiB"),
            (Connectors, $"{Connectors} connectors"),
            (WebSockets, $"{WebSockets} WebSockets"),
            (Tcp, $"{Tcp} raw TCP"),
        ];
        return string.Join(" · ", parts.Where(p => p.Count > 0).Select(p => p.Text));
    }
}
