using System.Net.Sockets;
using System.Reflection;
using KestrelHandoff.Benchmarks.Load;
using KestrelHandoff.Benchmarks.Measure;
using KestrelHandoff.Benchmarks.Report;

namespace KestrelHandoff.Benchmarks;

internal static class Program
{
    private static async Task<int> Main(string[] args) => await CommandLine.Create(RunAsync).Parse(args).InvokeAsync();

    private static async Task<int> RunAsync(BenchmarkSettings settings, CancellationToken cancel)
    {
        try
        {
            Require(settings);
            var report = new BenchmarkReport(
                Machine.Read(),
                settings.Throughput ? await ThroughputBenchmark.RunAsync(settings, cancel) : [],
                settings.Allocations ? await AllocationBenchmark.RunAsync(cancel) : [],
                settings.Memory ? await MemoryBenchmark.RunAsync(settings.Connections, cancel) : [],
                settings.Gap ? await GapBenchmark.RunAsync(settings, cancel) : []);
            ReportWriter.Write(report, settings);
            return 0;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; the servers have been ended.");
            return 130; // as a shell reports SIGINT
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or SocketException or HttpRequestException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 2;
        }
    }

    /// <summary>What is missing is told before minutes are spent.</summary>
    private static void Require(BenchmarkSettings settings)
    {
        if (typeof(Program).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration != "Release")
        {
            throw new InvalidOperationException("A figure from a Debug build says nothing: dotnet run -c Release --project tests/KestrelHandoff.Benchmarks -- …");
        }

        if (settings.Throughput)
        {
            Wrk.Require();
        }

        if (settings.Json is { } json)
        {
            File.WriteAllText(json, ""); // throws where it cannot be written
        }
    }
}
