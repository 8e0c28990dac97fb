using System.Diagnostics;
using ZeroDrop.Load;
using ZeroDrop.Measure;

namespace ZeroDrop.Instances;

/// <summary>One replacement of the serving instance, as seen from outside.</summary>
/// <param name="Error">Null when it succeeded.</param>
/// <param name="AnswerMs">The duration the POST answer states; null for stop and start.</param>
/// <param name="WallMs">From the trigger to the answer, or to the ready line of the next instance.</param>
/// <param name="Facts">Of the replaced instance, about a second before.</param>
internal sealed record ReplacementRecord(
    int Number, string? Error, Instance? From, Instance? To, double? AnswerMs, double WallMs,
    IReadOnlyList<KeyValuePair<string, double>> Phases, ProcessFacts? Facts, Window Window)
{
    /// <summary>Of the app, as it came; null for stop and start.</summary>
    public HandoffAnswer? Answer { get; init; }

    /// <summary>What was done to the successor to make it fail; null when nothing was. Then <see cref="Error"/> says what came of it that should not have.</summary>
    public string? Injected { get; init; }

    public bool Completed => Error is null && Injected is null;

    /// <summary>It was made to fail, and has failed as it should.</summary>
    public bool FailedOnPurpose => Error is null && Injected is not null;

    /// <summary>What became of the old instance's connections, as far as it can be told; null when nobody says which instances these are.</summary>
    public ConnectionFates? FatesOf(ConnectionCounters connections) =>
        Completed && From is not null && To is not null ? connections.Between(From.Generation, To.Generation) : null;
}

/// <summary>Replaces the serving instance by the next.</summary>
internal interface IReplacement
{
    /// <summary>The instance that serves now; null when nobody says which.</summary>
    Instance? Serving { get; }

    Task<ReplacementRecord> ReplaceAsync(int number, ProcessFacts? facts, CancellationToken cancel);
}

/// <summary>By <c>POST /admin/handoff</c>.</summary>
internal sealed class HandoffReplacement(AdminClient admin, Instance? first) : IReplacement
{
    public Instance? Serving { get; private set; } = first;

    public async Task<ReplacementRecord> ReplaceAsync(int number, ProcessFacts? facts, CancellationToken cancel)
    {
        var began = Clock.Now;
        var answer = await admin.HandOffAsync().WaitAsync(cancel);
        var window = new Window(began, Clock.Now);
        var from = answer.Predecessor ?? Serving;
        if (answer.Error is null)
        {
            Serving = answer.Successor ?? await admin.ServingAsync();
        }

        return new ReplacementRecord(
            number, answer.Error, from, answer.Error is null ? Serving : answer.Successor, answer.DurationMs,
            Clock.Milliseconds(window.To - window.From), answer.Phases, facts, window)
        {
            Answer = answer,
        };
    }
}

/// <summary>What people do without a handoff: SIGTERM, wait for the exit, start again.</summary>
internal sealed class StopStartReplacement(DemoApp app, Instance first) : IReplacement
{
    public Instance? Serving { get; private set; } = first;

    public async Task<ReplacementRecord> ReplaceAsync(int number, ProcessFacts? facts, CancellationToken cancel)
    {
        var began = Clock.Now;
        var watch = Stopwatch.StartNew();
        var from = Serving!;
        await app.StopAsync(from.ProcessId, cancel);
        var stopped = watch.Elapsed.TotalMilliseconds;
        Serving = await app.StartAsync(from.Generation + 1, cancel);
        var started = watch.Elapsed.TotalMilliseconds;
        return new ReplacementRecord(
            number, null, from, Serving, null, started, [new("stop", stopped), new("start", started - stopped)], facts, new Window(began, Clock.Now));
    }
}
