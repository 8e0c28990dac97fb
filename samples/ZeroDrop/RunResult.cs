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

    /// <summary>Every second replacement was made to fail.</summary>
    public bool IsSoak => Progress.Settings.Failing;

    /// <summary>Instances other than the serving one that had not left at the end; looked for in a soak only.</summary>
    public int ProcessesLeftOver { get; init; }

    /// <summary>Without those that were made to fail and did.</summary>
    public int FailedReplacements => Replacements.Count(r => r.Error is not null);

    public int FailedOnPurpose => Replacements.Count(r => r.FailedOnPurpose);

    /// <summary>Connections that could have gone on and were closed, with a word or without.</summary>
    public long Closed =>
        new[] { Recorder.KeepAlive.All, Recorder.Idle.All }.Sum(f => f.ClosedAnnounced + f.ClosedSilently)
        + Progress.Streams.Sum(s => s.Announced + s.Cut);

    /// <summary>Nothing lost, refused, reset or cut; in a soak, where every connection can move, nothing closed either.</summary>
    public bool ClientsNoticedNothing =>
        Recorder is { Lost: 0, Refused: 0, Resets: 0 } && Progress.Streams.All(s => s is { Lost: 0, Cut: 0 }) && !(IsSoak && Closed > 0);

    /// <summary>Clients noticed nothing, every replacement ended as it should, and nobody was left behind.</summary>
    public bool IsFlawless => ClientsNoticedNothing && FailedReplacements == 0 && ProcessesLeftOver == 0;

    /// <summary>Of the serving instances that handed over, each about a second before.</summary>
    public Course? Descriptors => Course.Of([.. FactsBefore.Select(f => (double)f.Descriptors)]);

    /// <summary>The same for resident memory.</summary>
    public Course? ResidentMiB => Course.Of([.. FactsBefore.Select(f => f.ResidentMiB)]);

    private IEnumerable<ProcessFacts> FactsBefore => Replacements.Where(r => r.Completed).Select(r => r.Facts).OfType<ProcessFacts>();
}
