using System.Globalization;
using System.Text.Json;
using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Measure;
using Spectre.Console;

namespace KestrelHandoff.Benchmarks.Report;

/// <summary>All that was measured; a list is empty where it was not asked for.</summary>
internal sealed record BenchmarkReport(
    Machine Machine, IReadOnlyList<ThroughputResult> Throughput, IReadOnlyList<BytesResult> Allocations, IReadOnlyList<BytesResult> Memory, IReadOnlyList<GapResult> Gap);

/// <summary>The figures as tables, as the same tables in markdown, and as JSON.</summary>
internal static class ReportWriter
{
    private const int WidthElsewhere = 160; // of a file or a pipe

    private static readonly JsonSerializerOptions JsonOptions = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static void Write(BenchmarkReport report, BenchmarkSettings settings)
    {
        if (settings.Json is { } json)
        {
            File.WriteAllText(json, JsonSerializer.Serialize(report, JsonOptions));
        }

        if (Console.IsOutputRedirected)
        {
            AnsiConsole.Profile.Width = WidthElsewhere;
        }

        FigureTable[] tables = [.. new[] { Throughput(report.Throughput), Bytes([.. report.Allocations, .. report.Memory]), Gap(report.Gap) }.Where(t => !t.IsEmpty)];
        Array.ForEach(tables, table => AnsiConsole.Write(table.ToTerminal()));
        Console.WriteLine($"\nFor docs/performance.md:\n\n{Describe(report, settings)}");
        Array.ForEach(tables, table => Console.WriteLine($"\n{table.ToMarkdown()}"));
    }

    private static string Describe(BenchmarkReport report, BenchmarkSettings settings)
    {
        var throughput = settings.Throughput ? $" {settings.Pairs} pairs of processes for each scenario, {settings.Seconds} × 1 s on each transport in turns in each process." : "";
        var memory = settings.Memory ? $" {Count(settings.Connections)} idle connections." : "";
        return $"{report.Machine}.{throughput}{memory}";
    }

    private static FigureTable Throughput(IEnumerable<ThroughputResult> results)
    {
        var table = new FigureTable("scenario", "requests/s", "Kestrel's own", "ratio (min–max)", "CPU µs", "Kestrel's own", "ratio (min–max)", "p99 ms", "Kestrel's own", "ratio (min–max)", "socket errors");
        foreach (var result in results)
        {
            table.Add(
                result.Scenario,
                Count(result.RequestsPerSecond.Ours), Count(result.RequestsPerSecond.Stock), Ratio(result.RequestsRatio),
                Two(result.ProcessorMicroseconds.Ours), Two(result.ProcessorMicroseconds.Stock), Ratio(result.ProcessorTimeRatio),
                Two(result.P99Ms.Ours), Two(result.P99Ms.Stock), Ratio(result.P99Ratio),
                $"{Count(result.SocketErrors.Ours)}, {Count(result.SocketErrors.Stock)}");
        }

        return table;
    }

    private static FigureTable Bytes(IEnumerable<BytesResult> results)
    {
        var table = new FigureTable("bytes", "this library", "Kestrel's own", "difference (min to max)");
        foreach (var result in results)
        {
            table.Add(
                result.What, Bytes(result.Ours.Median), Bytes(result.Stock.Median),
                $"{Bytes(result.Difference.Median)} ({Bytes(result.Difference.Min)} to {Bytes(result.Difference.Max)})");
        }

        return table;
    }

    private static FigureTable Gap(IEnumerable<GapResult> results)
    {
        var table = new FigureTable("server", "restarts", "gap ms (min–max)", "with the machine's stalls", "p99.9 ms (min–max)", "before: gap ms, p99.9 ms", "lost", "refused, reset", "closed", "idle: survived");
        foreach (var result in results)
        {
            table.Add(
                result.Server, Count(result.Restarts.Count), One(result.Gap), One(result.GapWithStalls.Median), One(result.P999), $"{One(result.GapBefore.Median)}, {One(result.P999Before.Median)}",
                Count(result.Restarts.Sum(r => r.Lost)), $"{Count(result.Restarts.Sum(r => r.Refused))}, {Count(result.Restarts.Sum(r => r.Reset))}",
                Count(result.Restarts.Sum(r => r.Closed)), $"{Count(result.Restarts.Sum(r => r.Survivors))} of {Count(result.Restarts.Count * GapClient.Idle)}");
        }

        return table;
    }

    private static string One(Spread spread) => $"{One(spread.Median)} ({One(spread.Min)}–{One(spread.Max)})";

    private static string One(double number) => number.ToString("0.0", CultureInfo.InvariantCulture);

    private static string Bytes(double number) =>
        Math.Abs(number) < 100 ? (Math.Round(number, 1) + 0.0).ToString("0.0", CultureInfo.InvariantCulture) : Count(number); // + 0.0: never -0.0

    private static string Ratio(Spread ratio) => $"{Two(ratio.Median)} ({Two(ratio.Min)}–{Two(ratio.Max)})";

    private static string Two(double number) => number.ToString("0.00", CultureInfo.InvariantCulture);

    /// <summary>Thousands apart by a gap, as in 12 345.</summary>
    private static string Count(double number) => number.ToString("#,0", CultureInfo.InvariantCulture).Replace(',', ' ');
}
