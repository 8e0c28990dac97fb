using ZeroDrop.Measure;

namespace ZeroDrop.Report;

/// <summary>Answers of one short time, by generation.</summary>
internal readonly record struct Sample(IReadOnlyList<(int Generation, long Count)> Parts, bool Replacing)
{
    public long Total => Parts.Sum(p => p.Count);
}

/// <summary>Turns the recorder's running counts into one sample after the other.</summary>
internal sealed class Sampler(Progress progress)
{
    private readonly long[] _before = new long[Recorder.MaxGenerations];
    private readonly long[] _now = new long[Recorder.MaxGenerations];
    private bool _wasReplacing;
    private int _replaced;

    public Sample Next()
    {
        progress.Recorder.CopyByGeneration(_now);
        var parts = new List<(int, long)>();
        for (var generation = 0; generation < _now.Length; generation++)
        {
            if (_now[generation] > _before[generation])
            {
                parts.Add((generation, _now[generation] - _before[generation]));
            }
        }

        _now.CopyTo(_before, 0);

        // also true when a replacement began and ended between two samples
        var replacing = progress.Replacing || _wasReplacing || progress.Replacements.Count > _replaced;
        _wasReplacing = progress.Replacing;
        _replaced = progress.Replacements.Count;
        return new Sample(parts, replacing);
    }
}
