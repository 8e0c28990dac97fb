namespace KestrelHandoff.Benchmarks;

/// <summary>What to measure, and how long.</summary>
internal sealed record BenchmarkSettings
{
    public bool Throughput { get; init; }
    public bool Allocations { get; init; }
    public bool Memory { get; init; }
    public bool Gap { get; init; }

    /// <summary>Of processes, for every scenario; each serves on both transports.</summary>
    public int Pairs { get; init; }

    /// <summary>Of load on each transport in each process, a second at a time in turns.</summary>
    public int Seconds { get; init; }

    /// <summary>Idle connections.</summary>
    public int Connections { get; init; }

    /// <summary>Of each server whose gap is measured.</summary>
    public int Restarts { get; init; }

    /// <summary>Seconds.</summary>
    public int Window { get; init; }

    /// <summary>The demo app, compiled ahead; measured beside the other.</summary>
    public string? NativeApp { get; init; }

    /// <summary>The peer of Peers/tableflip, built.</summary>
    public string? Tableflip { get; init; }

    public string? Json { get; init; }
}
