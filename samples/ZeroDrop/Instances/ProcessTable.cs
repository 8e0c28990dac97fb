using System.Diagnostics;
using System.Globalization;

namespace ZeroDrop.Instances;

/// <summary>What a leak would show in: the open descriptors and the resident memory of a process.</summary>
internal sealed record ProcessFacts(int Descriptors, double ResidentMiB);

/// <summary>What /proc and signals give: proc(5), kill(1).</summary>
internal static class ProcessTable
{
    /// <returns>Null when there is no such process, or it is not ours to look into.</returns>
    public static ProcessFacts? Facts(int processId)
    {
        try
        {
            var descriptors = Directory.GetFileSystemEntries($"/proc/{processId}/fd").Length;
            var resident = File.ReadLines($"/proc/{processId}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
            var kib = double.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
            return new ProcessFacts(descriptors, kib / 1024);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>All living processes that have inherited the variable with this value.</summary>
    public static int[] WithVariable(string name, string value)
    {
        var wanted = $"{name}={value}";
        return [.. Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
            .Where(n => n is not null && char.IsAsciiDigit(n[0]) && Has(n))
            .Select(n => int.Parse(n!, CultureInfo.InvariantCulture))];

        bool Has(string processId)
        {
            try
            {
                return File.ReadAllText($"/proc/{processId}/environ").Split('\0').Contains(wanted);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    public static async Task SignalAsync(string signal, IEnumerable<int> processIds)
    {
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add($"kill -s {signal} {string.Join(' ', processIds)}"); // the shell's own kill: an image may have no other
        using var shell = Process.Start(start)!;
        await shell.WaitForExitAsync();
    }
}
