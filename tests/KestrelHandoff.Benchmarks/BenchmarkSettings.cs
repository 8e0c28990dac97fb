namespace KestrelHandoff.Benchmarks;

/// <summary>What to measure, and how long.</summary>
internal sealed record BenchmarkSettings
{
    public bool Throughput { get; init; }
    public bool Allocations { get; init; }
    public bool Memory { get; init; }

    /// <summary>Runs on each transport, for every scenario.</summary>
    public int Pairs { get; init; }

    /// <summary>Of one run.</summary>
    public int Seconds { get; init; }

    /// <summary>Idle connections.</summary>
    public int Connections { get; init; }

    public string? Json { get; init; }
}
