namespace KestrelHandoff.Fuzz;

/// <summary>How much to try, and from where. Input n of a seed is always the same, whatever the threads.</summary>
internal sealed record FuzzSettings(long Count, ulong Seed, int Threads);
