namespace KestrelHandoff.Benchmarks.Measure;

/// <summary>The same measured on both transports, one right after the other.</summary>
internal sealed record Pair<T>(T Ours, T Stock);

/// <summary>What stands in a table: the median, and between what it lies.</summary>
internal sealed record Spread(double Median, double Min, double Max)
{
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        var middle = sorted.Length / 2;
        return new Spread(sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2, sorted[0], sorted[^1]);
    }
}

/// <summary>Bytes for one of something.</summary>
internal sealed record BytesResult(string What, IReadOnlyList<Pair<double>> Repeats)
{
    public Spread Ours => Spread.Of(Repeats.Select(r => r.Ours));

    public Spread Stock => Spread.Of(Repeats.Select(r => r.Stock));

    public Spread Difference => Spread.Of(Repeats.Select(r => r.Ours - r.Stock));
}
