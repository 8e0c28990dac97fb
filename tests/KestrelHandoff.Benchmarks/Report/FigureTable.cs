using Spectre.Console;

namespace KestrelHandoff.Benchmarks.Report;

/// <summary>One table, for the terminal and for docs/performance.md: a name column, the others numbers.</summary>
internal sealed class FigureTable(params string[] columns)
{
    private readonly List<string[]> _rows = [];

    public bool IsEmpty => _rows.Count == 0;

    public void Add(params string[] cells) => _rows.Add(cells);

    public Table ToTerminal()
    {
        var table = new Table().RoundedBorder().BorderColor(Color.Grey);
        foreach (var (column, number) in columns.Select((column, number) => (column, number)))
        {
            table.AddColumn(new TableColumn(Markup.Escape(column)) { Alignment = number == 0 ? Justify.Left : Justify.Right });
        }

        _rows.ForEach(row => table.AddRow([.. row.Select(Markup.Escape)]));
        return table;
    }

    public string ToMarkdown() => string.Join('\n',
        [Line(columns), Line(columns.Select((_, number) => number == 0 ? "---" : "---:")), .. _rows.Select(Line)]);

    private static string Line(IEnumerable<string> cells) => $"| {string.Join(" | ", cells)} |";
}
