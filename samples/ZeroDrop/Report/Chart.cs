using Spectre.Console;
using Spectre.Console.Rendering;

namespace ZeroDrop.Report;

/// <summary>Requests a second as stacked columns, a colour a generation; below them a mark where an instance was replaced.</summary>
internal sealed class Chart(IReadOnlyList<Sample> samples, double perSecond, int height) : IRenderable
{
    private const string Eighths = " ▁▂▃▄▅▆▇█";
    private const int AxisWidth = 8;

    public Measurement Measure(RenderOptions options, int maxWidth) => new(maxWidth, maxWidth);

    public IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        var columns = Math.Max(1, maxWidth - AxisWidth);
        var shown = samples.Skip(Math.Max(0, samples.Count - columns)).ToArray();
        var top = RoundUp(shown.Select(s => s.Total * perSecond).DefaultIfEmpty(0).Max());
        for (var row = height - 1; row >= 0; row--)
        {
            var label = row == height - 1 ? Words.Count((long)top) : row == 0 ? "req/s" : "";
            yield return new Segment(label.PadLeft(AxisWidth - 2) + (row == height - 1 ? "┤ " : "│ "), new Style(Color.Grey));
            foreach (var sample in shown)
            {
                yield return Cell(sample, row, top);
            }

            yield return new Segment(new string(' ', columns - shown.Length));
            yield return Segment.LineBreak;
        }

        yield return new Segment(new string(' ', AxisWidth - 2) + "└─", new Style(Color.Grey));
        for (var i = 0; i < columns; i++)
        {
            var marked = i < shown.Length && shown[i].Replacing;
            yield return new Segment(marked ? "▲" : "─", new Style(marked ? Color.White : Color.Grey));
        }

        yield return Segment.LineBreak;
    }

    /// <summary>One character: up to two generations share it, the lower one as the block, the upper one as what is behind it.</summary>
    private Segment Cell(Sample sample, int row, double top)
    {
        var scale = height * 8 * perSecond / top;
        double from = 0, bottom = row * 8;
        (Color Color, int Eighths)? lower = null;
        foreach (var (generation, count) in sample.Parts)
        {
            var to = from + (count * scale);
            var filled = Math.Clamp((int)Math.Round(to - bottom), 0, 8);
            if (filled > 0 && to > from)
            {
                if (lower is not { } below)
                {
                    lower = (Words.ColorOf(generation), filled);
                }
                else if (below.Eighths < 8 && filled > below.Eighths)
                {
                    return filled == 8
                        ? new Segment(Eighths[below.Eighths].ToString(), new Style(below.Color, Words.ColorOf(generation)))
                        : new Segment(Eighths[filled].ToString(), new Style(Words.ColorOf(generation)));
                }
            }

            from = to;
        }

        return lower is { } only ? new Segment(Eighths[only.Eighths].ToString(), new Style(only.Color)) : new Segment(" ");
    }

    private static double RoundUp(double value)
    {
        var step = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(value, 10)))) / 2;
        return Math.Max(10, Math.Ceiling(value / step) * step);
    }
}
