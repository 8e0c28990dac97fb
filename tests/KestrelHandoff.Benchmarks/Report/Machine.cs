using System.Globalization;
using System.Runtime.InteropServices;

namespace KestrelHandoff.Benchmarks.Report;

/// <summary>Where and when the figures were measured.</summary>
internal sealed record Machine(string Processor, int Cores, string Kernel, string Runtime, string Date)
{
    public static Machine Read() => new(
        File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
            ?? $"{RuntimeInformation.ProcessArchitecture}", // ARM kernels name no model
        Environment.ProcessorCount,
        File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        RuntimeInformation.FrameworkDescription,
        DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));

    public override string ToString() => $"{Processor}, {Cores} cores, Linux {Kernel}, {Runtime}, {Date}";
}
