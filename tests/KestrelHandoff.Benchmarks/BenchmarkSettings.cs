namespace KestrelHandoff.Benchmarks;

/// <summary>What to measure, and how long.</summary>
internal sealed record BenchmarkSettings
{
    public bool Throughput { get; init; }
    public bool Allocations { get; init; }
    public bool Memory { get; init; }

    /// <summary>Of processes, for every scenario; each serves on both transports.</summary>
    public int Pairs { get; init; }

    /// <summary>Of load on each transport in each process, a second at a time in turns.</summary>
    public int Seconds { get; init; }

    /// <summary>Idle connections.</summary>
    public int Connections { get; init; }

    public string? Json { get; init; }
}
