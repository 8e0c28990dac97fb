using System.Globalization;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>What the machine has.</summary>
internal static class Tools
{
    public static int UserId { get; } = int.Parse(
        File.ReadLines("/proc/self/status").First(line => line.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1], CultureInfo.InvariantCulture);

    public static bool Has(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, program)));
}
