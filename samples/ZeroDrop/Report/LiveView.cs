using Spectre.Console;
using Spectre.Console.Rendering;
using ZeroDrop.Instances;

namespace ZeroDrop.Report;

/// <summary>The live display: load, requests a second by generation, replacements so far, and what clients noticed.</summary>
internal sealed class LiveView(Progress progress, TimeSpan step)
{
    private const int KeptSamples = 400;
    private const int ChartHeight = 8;
    private const int ShownReplacements = 5;
    private static readonly string[] Spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

    private readonly Sampler _sampler = new(progress);
    private readonly List<Sample> _samples = [];
    private readonly SortedDictionary<int, long> _totals = [];
    private int _steps;

    public void Step()
    {
        _steps++;
        var sample = _sampler.Next();
        if (_samples.Count == 0 && sample.Total == 0)
        {
            return; // the chart begins with the first answer
        }

        _samples.Add(sample);
        if (_samples.Count > KeptSamples)
        {
            _samples.RemoveAt(0);
        }

        foreach (var (generation, count) in sample.Parts)
        {
            _totals[generation] = _totals.GetValueOrDefault(generation) + count;
        }
    }

    public IRenderable Render()
    {
        var rows = new List<IRenderable>
        {
            new Markup($"[grey]{Markup.Escape(progress.Settings.Describe())}[/]"),
            Text.Empty,
            new Chart(_samples, 1 / step.TotalSeconds, ChartHeight),
            new Markup(Legend()),
            Text.Empty,
        };
        rows.AddRange(progress.Replacements.TakeLast(ShownReplacements).Select(r => new Markup(Line(r))));
        rows.Add(new Markup(Phase()));
        rows.Add(Text.Empty);
        rows.Add(Noticed());
        return new Panel(new Rows(rows))
        {
            Header = new PanelHeader($" [bold]ZeroDrop[/] · {Words.Of(progress.Mode)} "),
            Border = BoxBorder.Rounded,
            BorderStyle = new Style(Color.Grey),
            Padding = new Padding(2, 1),
            Expand = true,
        };
    }

    private string Legend() => new string(' ', 8) + string.Join("   ", _totals.TakeLast(6).Select(t =>
        $"[{Words.ColorOf(t.Key).ToMarkup()}]■[/] generation {t.Key} [grey]{Words.Count(t.Value)}[/]"));

    private string Phase()
    {
        var number = progress.Replacements.Count + 1;
        var spinner = Spinner[_steps % Spinner.Length];
        return progress.Replacing
            ? $"[white]{spinner} {progress.Phase} … {number} of {progress.Settings.Handoffs}[/]"
            : $"[grey]{(progress.Phase == "done" ? "✓" : spinner)} {progress.Phase}[/]";
    }

    private static string Line(ReplacementRecord record)
    {
        if (record.Error is not null)
        {
            return $"[red]✗ {record.Number}  {Markup.Escape(record.Error)}[/]";
        }

        if (record.Injected is { } injected)
        {
            return $"[green]✓[/] {record.Number}  {injected} [grey]made it fail, as it should[/]  [bold]{Words.Ms(record.WallMs)} ms[/]";
        }

        var phases = string.Join(" · ", record.Phases.Select(p => $"{Markup.Escape(p.Key)} {Words.Ms(p.Value)}"));
        return $"[green]✓[/] {record.Number}  {Name(record.From)} → {Name(record.To)}  [bold]{Words.Ms(record.WallMs)} ms[/]  [grey]{phases}[/]";
    }

    private static string Name(Instance? instance) => instance is null
        ? "?"
        : $"[{Words.ColorOf(instance.Generation).ToMarkup()}]generation {instance.Generation}[/] [grey](process {instance.ProcessId})[/]";

    private Columns Noticed()
    {
        var recorder = progress.Recorder;
        var kept = recorder.KeepAlive.All;
        return new Columns(
            new Markup($"answered [bold]{Words.Count(recorder.Answered)}[/]"),
            Bad("lost", recorder.Lost),
            Bad("refused", recorder.Refused),
            Bad("reset", recorder.Resets),
            new Markup($"survived [bold]{Words.Count(kept.Survived)}[/]"),
            new Markup($"closed [bold]{Words.Count(kept.ClosedAnnounced + kept.ClosedSilently)}[/]"));

        static Markup Bad(string name, long count) => new($"{name} [bold {(count == 0 ? "green" : "red")}]{Words.Count(count)}[/]");
    }
}
