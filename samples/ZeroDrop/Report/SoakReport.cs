using Spectre.Console;
using ZeroDrop.Instances;

namespace ZeroDrop.Report;

/// <summary>The table of what was done to successors, and what came of it.</summary>
internal static class SoakReport
{
    public static Table Faults(RunResult result)
    {
        var table = new Table().RoundedBorder().BorderColor(Color.Grey).Title("[grey]failed on purpose[/]")
            .AddColumn("fault").AddColumn(Right("times")).AddColumn(Right("as expected")).AddColumn("outcome")
            .AddColumn(Right("wall ms: shortest, longest")).AddColumn(Right("as reported: connections returned, lost"));
        foreach (var fault in result.Replacements.Where(r => r.Injected is not null).GroupBy(r => r.Injected!).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            table.AddRow(
                fault.Key, $"{fault.Count()}", $"{fault.Count(r => r.FailedOnPurpose)}", string.Join(", ", fault.Select(Outcome).Distinct()),
                $"{Words.Ms(fault.Min(r => r.WallMs))}, {Words.Ms(fault.Max(r => r.WallMs))}",
                $"{fault.Sum(r => r.Answer?.Returned ?? 0)}, {fault.Sum(r => r.Answer?.Lost ?? 0)}");
        }

        return table;

        static TableColumn Right(string name) => new TableColumn(name).RightAligned();

        static string Outcome(ReplacementRecord record) => $"{record.Answer?.Status} {record.Answer?.Outcome ?? "?"}";
    }
}
