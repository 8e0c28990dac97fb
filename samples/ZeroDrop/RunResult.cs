using ZeroDrop.Instances;
using ZeroDrop.Measure;

namespace ZeroDrop;

/// <summary>Everything one run has shown.</summary>
/// <param name="ClientCpu">Share of one core the load client used, 0 to 1 and more.</param>
/// <param name="ClientStallMs">The longest round of the load client's pacer: a gap no longer than this may be its own.</param>
internal sealed record RunResult(
    RunMode Mode, double Seconds, Progress Progress, Figures Figures, IReadOnlyList<FailureEvent> Failures, double ClientCpu, double ClientStallMs)
{
    public Recorder Recorder => Progress.Recorder;

    public IReadOnlyList<ReplacementRecord> Replacements => Progress.Replacements;

    public int FailedReplacements => Replacements.Count(r => r.Error is not null);

    /// <summary>Nothing lost, refused, reset or cut, and every replacement succeeded.</summary>
    public bool IsFlawless =>
        Recorder is { Lost: 0, Refused: 0, Resets: 0 } && FailedReplacements == 0 && Progress.Streams.All(s => s is { Lost: 0, Cut: 0 });
}
