using ZeroDrop.Load;

namespace ZeroDrop.Measure;

/// <summary>Latencies of one part of the run, in milliseconds; slow requests and uploads are left out.</summary>
internal sealed record Latency(int Count, double P50, double P99, double P999, double Max)
{
    public static Latency Of(IEnumerable<AnswerEvent> answers)
    {
        var sorted = answers.Where(a => a.Kind is RequestKind.KeepAlive or RequestKind.NewConnection or RequestKind.Connector)
            .Select(a => a.Took).Order().ToArray();
        return new Latency(sorted.Length, At(0.5), At(0.99), At(0.999), At(1));

        double At(double share) => sorted.Length == 0
            ? double.NaN
            : Clock.Milliseconds(sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)]);
    }
}

/// <summary>A time in which an instance was replaced.</summary>
internal readonly record struct Window(long From, long To)
{
    public bool Contains(long at) => at >= From && at <= To;

    public bool Overlaps(long from, long to) => from <= To && to >= From;

    public Window Widen(long by) => new(From - by, To + by);
}

/// <summary>What the recorded events say about the time steady and the time around the handoffs.</summary>
/// <param name="LongestGapMs">
/// The longest time in which no request was answered while there was load. Slow requests do not count: their answers come from an
/// instance that may have stopped taking new ones long ago.
/// </param>
/// <param name="SteadyGapMs">The longest one that touches no handoff: what the machine does by itself.</param>
internal sealed record Figures(
    Latency Steady, Latency Around, double LongestGapMs, double SteadyGapMs, SortedDictionary<int, long> ByGeneration);

internal static class Analysis
{
    /// <summary>How far before and after a handoff counts as around it.</summary>
    public const double MarginMs = 1000;

    /// <param name="measured">From the end of the warm-up to the end of the load.</param>
    public static Figures Of(Recorder recorder, Window measured, IReadOnlyCollection<Window> handoffs)
    {
        var all = recorder.Answers();
        var windows = handoffs.Select(w => w.Widen(Clock.Ticks(MarginMs))).ToArray();
        var answers = all.Where(a => measured.Contains(a.At)).ToArray();
        var around = answers.ToLookup(a => windows.Any(w => w.Contains(a.At)));

        var (longest, steady) = (0L, 0L);
        var last = measured.From;
        foreach (var at in answers.Where(a => a.Kind != RequestKind.Slow).Select(a => a.At).Append(measured.To))
        {
            var gap = at - last;
            longest = Math.Max(longest, gap);
            if (gap > steady && !windows.Any(w => w.Overlaps(last, at)))
            {
                steady = gap;
            }

            last = at;
        }

        var byGeneration = new SortedDictionary<int, long>();
        foreach (var group in all.CountBy(a => a.Generation))
        {
            byGeneration[group.Key] = group.Value;
        }

        return new Figures(
            Latency.Of(around[false]), Latency.Of(around[true]), Clock.Milliseconds(longest), Clock.Milliseconds(steady), byGeneration);
    }
}
