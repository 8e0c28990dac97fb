using System.Text.Json;
using ZeroDrop.Load;
using ZeroDrop.Measure;

namespace ZeroDrop.Report;

/// <summary>The same figures for a machine: one document, one object for each run.</summary>
internal static class JsonReport
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals, // NaN: nothing was measured
    };

    public static void Write(IEnumerable<RunResult> results, TextWriter output) =>
        output.WriteLine(JsonSerializer.Serialize(new { runs = results.Select(Run) }, Options));

    private static object Run(RunResult result)
    {
        var recorder = result.Recorder;
        return new
        {
            mode = Words.Of(result.Mode),
            flawless = result.IsFlawless,
            load = result.Progress.Settings.Describe(),
            seconds = Math.Round(result.Seconds, 1),
            answered = recorder.Answered,
            lost = recorder.Lost,
            refused = recorder.Refused,
            reset = recorder.Resets,
            closed = result.Closed,
            keepAlive = Of(recorder.KeepAlive),
            idle = Of(recorder.Idle),
            streams = result.Progress.Streams.Select(s => new { kind = s.Name, echoed = s.Messages, lost = s.Lost, moved = s.Moves, closed = s.Announced, cut = s.Cut }),
            longestGapMs = Round(result.Figures.LongestGapMs),
            steadyGapMs = Round(result.Figures.SteadyGapMs),
            steady = Of(result.Figures.Steady),
            aroundReplacements = Of(result.Figures.Around),
            answeredByGeneration = result.Figures.ByGeneration,
            failedReplacements = result.FailedReplacements,
            failedOnPurpose = result.FailedOnPurpose,
            processesLeftOver = result.IsSoak ? result.ProcessesLeftOver : (int?)null,
            descriptors = result.Descriptors,
            residentMiB = result.ResidentMiB is { } resident
                ? new Course(Round(resident.First), Round(resident.Median), Round(resident.Last))
                : null,
            replacements = result.Replacements.Select(r => new
            {
                number = r.Number,
                error = r.Error,
                injected = r.Injected,
                status = r.Answer?.Status,
                outcome = r.Answer?.Outcome,
                from = r.From,
                to = r.To,
                answerMs = r.AnswerMs,
                wallMs = Round(r.WallMs),
                phases = r.Phases.Select(p => new { phase = p.Key, durationMs = Round(p.Value) }),
                descriptorsBefore = r.Facts?.Descriptors,
                residentMiBBefore = r.Facts is { } facts ? Round(facts.ResidentMiB) : (double?)null,
                keepAlive = r.FatesOf(recorder.KeepAlive),
                idle = r.FatesOf(recorder.Idle),
            }),
            failures = result.Failures.GroupBy(f => (f.Kind, f.Failure, f.Status)).Select(g => new
            {
                on = Words.Of(g.Key.Kind),
                what = Words.Of(g.Key.Failure),
                status = g.Key.Failure == Failure.Status ? g.Key.Status : (int?)null,
                count = g.Count(),
            }),
            loadClient = new { cpuOfOneCore = Math.Round(result.ClientCpu, 3), worstStallMs = Round(result.ClientStallMs) },
        };
    }

    private static object Of(ConnectionCounters connections)
    {
        var all = connections.All;
        return new { opened = connections.Opened, survived = all.Survived, closedAnnounced = all.ClosedAnnounced, closedSilently = all.ClosedSilently };
    }

    private static object Of(Latency latency) => new
    {
        requests = latency.Count,
        p50Ms = Round(latency.P50),
        p99Ms = Round(latency.P99),
        p999Ms = Round(latency.P999),
        maxMs = Round(latency.Max),
    };

    private static double Round(double value) => Math.Round(value, 2);
}
