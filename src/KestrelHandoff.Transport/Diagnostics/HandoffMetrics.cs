using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;

namespace KestrelHandoff.Transport.Diagnostics;

/// <summary>The instruments of the meter <c>KestrelHandoff</c>.</summary>
internal sealed class HandoffMetrics
{
    public const string MeterName = "KestrelHandoff";

    /// <summary>OpenTelemetry's own boundaries are for milliseconds.</summary>
    private static readonly InstrumentAdvice<double> Seconds = new() { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] };

    private readonly Histogram<double> _phase;
    private readonly Histogram<double> _handoff;

    public HandoffMetrics(IMeterFactory factory)
    {
        var meter = factory.Create(MeterName);
        _phase = meter.CreateHistogram("handoff.phase.duration", "s", "How long an instance was in a phase, recorded when it left it.", advice: Seconds);
        _handoff = meter.CreateHistogram("handoff.duration", "s", "How long a handoff took, up to the begin of the drain, by outcome.", advice: Seconds);
    }

    public void PhaseLeft(HandoffPhase phase, TimeSpan took)
    {
        if (_phase.Enabled)
        {
            _phase.Record(took.TotalSeconds, new TagList { { "handoff.phase", Tag(phase) } });
        }
    }

    public void Ended(HandoffReport report)
    {
        if (_handoff.Enabled)
        {
            _handoff.Record(report.DurationMs / 1000, new TagList { { "handoff.outcome", Tag(report.Outcome) }, { "handoff.failure", report.Failure is { } failure ? Tag(failure) : null } });
        }
    }

    /// <summary>As in the report's JSON.</summary>
    private static string Tag<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}
