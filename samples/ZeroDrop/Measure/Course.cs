namespace ZeroDrop.Measure;

/// <summary>How a figure went from one serving instance to the next: flat, or there is a leak.</summary>
internal sealed record Course(double First, double Median, double Last)
{
    /// <returns>Null when there are no figures.</returns>
    public static Course? Of(IReadOnlyList<double> figures) =>
        figures.Count == 0 ? null : new(figures[0], figures.Order().ElementAt((figures.Count - 1) / 2), figures[^1]);
}
