using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace KestrelHandoff.Benchmarks.Load;

/// <summary>What one run of wrk measured.</summary>
internal sealed record WrkResult(double RequestsPerSecond, double P99Ms, long Requests, long SocketErrors);

/// <summary>wrk(1): as many requests as its connections can ask one after the other.</summary>
internal static partial class Wrk
{
    public const int Connections = 64;

    /// <exception cref="InvalidOperationException">It is not installed.</exception>
    public static void Require()
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("wrk", ["--version"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            process.WaitForExit();
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("The throughput is measured with wrk, which is not installed: apt-get install wrk", e);
        }
    }

    /// <param name="url">What to ask for.</param>
    /// <param name="close">Whether each request has a connection of its own.</param>
    /// <param name="upload">Whether each request has a body (upload.lua).</param>
    /// <param name="seconds">How long.</param>
    /// <param name="cancel">Ends it early.</param>
    public static async Task<WrkResult> RunAsync(Uri url, bool close, bool upload, int seconds, CancellationToken cancel)
    {
        var start = new ProcessStartInfo("wrk",
            ["-t1", $"-c{Connections}", $"-d{seconds}s", "--latency", .. Options(close, upload), url.ToString()])
        {
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        try
        {
            var output = await process.StandardOutput.ReadToEndAsync(cancel);
            await process.WaitForExitAsync(cancel);
            return Parse(output);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    private static IEnumerable<string> Options(bool close, bool upload)
    {
        if (close)
        {
            yield return "-HConnection: close";
        }

        if (upload)
        {
            yield return $"-s{Path.Combine(AppContext.BaseDirectory, "Load", "upload.lua")}";
        }
    }

    private static WrkResult Parse(string output)
    {
        var rate = Rate().Match(output);
        var requests = Requests().Match(output);
        var latency = P99().Match(output);
        if (!rate.Success || !requests.Success || !latency.Success || output.Contains("Non-2xx", StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"wrk did not measure what it should:\n{output}");
        }

        var unit = latency.Groups[2].Value switch { "us" => 0.001, "ms" => 1, "s" => 1000, _ => 60_000 };
        var errors = Errors().Match(output);
        return new WrkResult(Number(rate), Number(latency) * unit, (long)Number(requests), errors.Groups.Values.Skip(1).Sum(g => g.Success ? long.Parse(g.Value, CultureInfo.InvariantCulture) : 0));
    }

    private static double Number(Match match) => double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^Requests/sec:\s+([\d.]+)", RegexOptions.Multiline)]
    private static partial Regex Rate();

    [GeneratedRegex(@"^\s+(\d+) requests in ", RegexOptions.Multiline)]
    private static partial Regex Requests();

    [GeneratedRegex(@"^\s+99%\s+([\d.]+)(us|ms|s|m)\b", RegexOptions.Multiline)]
    private static partial Regex P99();

    [GeneratedRegex(@"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex Errors();
}
