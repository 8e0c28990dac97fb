namespace KestrelHandoff.Benchmarks.Server;

/// <summary>What an app's connections come from.</summary>
internal enum TransportKind
{
    /// <summary>This library.</summary>
    Ours,

    /// <summary>Kestrel's own.</summary>
    Stock,
}
