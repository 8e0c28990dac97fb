using System.Globalization;
using Spectre.Console;
using ZeroDrop.Measure;

namespace ZeroDrop.Report;

/// <summary>The tables at the end of a run: what clients noticed, each replacement, and the verdict.</summary>
internal static class ResultReport
{
    private const int WidthElsewhere = 120; // of a file or a pipe
    private const int ShownReplacements = 20; // of more only the sum, the course and those that failed

    public static void Write(IReadOnlyList<RunResult> results)
    {
        if (Console.IsOutputRedirected)
        {
            AnsiConsole.Profile.Width = WidthElsewhere;
        }

        AnsiConsole.WriteLine();
        AnsiConsole.Write(Summary(results));
        foreach (var result in results.Where(r => r.Replacements.Count > 0))
        {
            if (result.IsSoak)
            {
                AnsiConsole.Write(SoakReport.Faults(result));
            }

            if (!IsLong(result))
            {
                AnsiConsole.Write(Replacements(result));
            }

            WritePhases(result);
        }

        foreach (var result in results)
        {
            WriteVerdict(result);
        }
    }

    private static Table Summary(IReadOnlyList<RunResult> results)
    {
        var table = new Table().RoundedBorder().BorderColor(Color.Grey).AddColumn("What clients noticed");
        foreach (var result in results)
        {
            table.AddColumn(new TableColumn($"[bold]{Words.Of(result.Mode)}[/]").RightAligned());
        }

        var isSoak = results.Any(r => r.IsSoak);
        if (isSoak)
        {
            Row("replacements, of them failed: on purpose, unexpectedly", r => $"{r.Replacements.Count}, {r.FailedOnPurpose}, {Zero(r.FailedReplacements)}");
        }
        else
        {
            Row("replacements, of them failed", r => $"{r.Replacements.Count}, {Zero(r.FailedReplacements)}");
        }

        Row("seconds measured", r => r.Seconds.ToString("0.0"));
        Row("requests answered", r => Words.Count(r.Recorder.Answered));
        Row("generations seen", Generations);
        table.AddEmptyRow();
        Row("[bold]lost[/]: sent, no complete answer", r => Zero(r.Recorder.Lost));
        Row("[bold]refused[/]: no connection", r => Zero(r.Recorder.Refused));
        Row("[bold]reset[/]", r => Zero(r.Recorder.Resets));
        if (isSoak)
        {
            Row("[bold]closed[/]: kept connections that did not go on", r => Zero(r.Closed));
            Row("[bold]processes left over[/]", r => Zero(r.ProcessesLeftOver));
        }

        Row("[bold]keep-alive[/]: survived a replacement", r => Words.Count(r.Recorder.KeepAlive.All.Survived));
        Row("  closed: announced, silently", r => Closed(r.Recorder.KeepAlive.All));
        if (results.Any(r => r.Recorder.Idle.Opened > 0))
        {
            Row("[bold]idle[/]: survived a replacement", r => Words.Count(r.Recorder.Idle.All.Survived));
            Row("  closed: announced, silently", r => Closed(r.Recorder.Idle.All));
        }

        foreach (var name in results.SelectMany(r => r.Progress.Streams).Select(s => s.Name).Distinct())
        {
            Row($"{name}: echoed, lost", r => Stream(r, name) is { } s ? $"{Words.Count(s.Messages)}, {Zero(s.Lost)}" : "–");
            Row($"{name}: moved, closed, cut", r => Stream(r, name) is { } s ? $"{s.Moves}, {s.Announced}, {Zero(s.Cut)}" : "–");
        }

        table.AddEmptyRow();
        Row("[bold]longest gap[/] without any answer, ms", r => Words.Ms(r.Figures.LongestGapMs));
        Row("the same, away from replacements", r => Words.Ms(r.Figures.SteadyGapMs));
        Row("steady ms: p50, p99, p99.9, max", r => Of(r.Figures.Steady));
        Row($"within {Analysis.MarginMs / 1000:0} s of one: p50, p99, p99.9, max", r => Of(r.Figures.Around));
        Row("load client: CPU of one core, worst stall ms", r => $"{r.ClientCpu:P0}, {Words.Ms(r.ClientStallMs)}");
        if (isSoak || results.Any(IsLong))
        {
            table.AddEmptyRow();
            Row("open descriptors of a serving instance: first, median, last", r => Course(r.Descriptors, "0"));
            Row("resident MiB of a serving instance: first, median, last", r => Course(r.ResidentMiB, "0.0"));
        }

        return table;

        void Row(string name, Func<RunResult, string> value) => table.AddRow([name, .. results.Select(value)]);

        static string Closed(ConnectionFates f) => $"{Words.Count(f.ClosedAnnounced)}, {Words.Count(f.ClosedSilently)}";

        static string Course(Course? c, string format) =>
            c is null ? "–" : string.Join(", ", new[] { c.First, c.Median, c.Last }.Select(f => f.ToString(format, CultureInfo.InvariantCulture)));

        static string Generations(RunResult r) => IsLong(r)
            ? $"{r.Figures.ByGeneration.Keys.First()} to {r.Figures.ByGeneration.Keys.Last()}"
            : string.Join(" ", r.Figures.ByGeneration.Keys.Select(g => $"[{Words.ColorOf(g).ToMarkup()}]{g}[/]"));

        static string Of(Latency l) => $"{Words.Ms(l.P50)}, {Words.Ms(l.P99)}, [bold]{Words.Ms(l.P999)}[/], {Words.Ms(l.Max)}";
    }

    private static bool IsLong(RunResult result) => result.Replacements.Count > ShownReplacements;

    private static StreamCounters? Stream(RunResult result, string name) => result.Progress.Streams.FirstOrDefault(s => s.Name == name);

    private static Table Replacements(RunResult result)
    {
        var table = new Table().RoundedBorder().BorderColor(Color.Grey).Title($"[grey]{Words.Of(result.Mode)}[/]")
            .AddColumn("#").AddColumn("from").AddColumn("to")
            .AddColumn(new TableColumn("answer ms").RightAligned()).AddColumn(new TableColumn("wall ms").RightAligned())
            .AddColumn(new TableColumn("fds").RightAligned()).AddColumn(new TableColumn("MiB").RightAligned())
            .AddColumn(new TableColumn("survived: keep-alive, idle").RightAligned())
            .AddColumn(new TableColumn("closed").RightAligned());
        foreach (var record in result.Replacements)
        {
            table.AddRow(
                $"{record.Number}", Name(record.From), Name(record.To),
                record.AnswerMs is { } answer ? Words.Ms(answer) : "–", Words.Ms(record.WallMs),
                $"{record.Facts?.Descriptors.ToString() ?? "–"}", record.Facts?.ResidentMiB.ToString("0.0") ?? "–",
                Fates(record, f => f.Survived), Fates(record, f => f.ClosedAnnounced + f.ClosedSilently));
        }

        return table;

        string Fates(Instances.ReplacementRecord record, Func<ConnectionFates, long> count) =>
            record.FatesOf(result.Recorder.KeepAlive) is { } kept && record.FatesOf(result.Recorder.Idle) is { } idle
                ? $"{Words.Count(count(kept))}, {Words.Count(count(idle))}"
                : "–";

        static string Name(Instances.Instance? i) => i is null ? "?" : $"[{Words.ColorOf(i.Generation).ToMarkup()}]{i.Generation}[/] [grey]{i.ProcessId}[/]";
    }

    private static void WritePhases(RunResult result)
    {
        foreach (var record in result.Replacements.Where(r => r.Error is not null || !IsLong(result)))
        {
            string[] injected = record.Injected is { } fault ? [fault] : [];
            var phases = string.Join(" · ", [.. injected, .. record.Phases.Select(p => $"{p.Key} {Words.Ms(p.Value)}")]);
            AnsiConsole.MarkupLine(record.Error is { } error
                ? $"  {record.Number}  [red]{Markup.Escape(error)}[/]"
                : $"  {record.Number}  [grey]{Markup.Escape(phases)}[/]");
        }
    }

    private static void WriteVerdict(RunResult result)
    {
        foreach (var group in result.Failures.GroupBy(f => (f.Kind, f.Failure)).OrderByDescending(g => g.Count()))
        {
            AnsiConsole.MarkupLine($"[red]  {Words.Count(group.Count())} × {Words.Of(group.Key.Kind)}: {Words.Of(group.Key.Failure)}[/]");
        }

        var purpose = result.IsSoak ? $", {result.FailedOnPurpose} of them failed on purpose" : "";
        AnsiConsole.MarkupLine(result.IsFlawless
            ? $"[bold green]✓ {Words.Of(result.Mode)}: {Words.Count(result.Recorder.Answered)} requests, {result.Replacements.Count} replacements{purpose}, nothing lost.[/]"
            : $"[bold red]✗ {Words.Of(result.Mode)}: {(result.ClientsNoticedNothing ? "clients noticed nothing, but not all ended as it should" : "clients noticed")}.[/]");
    }

    private static string Zero(long count) => $"[bold {(count == 0 ? "green" : "red")}]{Words.Count(count)}[/]";
}
