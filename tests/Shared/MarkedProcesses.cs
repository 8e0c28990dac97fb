using System.Globalization;

namespace KestrelHandoff.TestSupport;

/// <summary>Processes that were started with a certain environment variable, or descend from one that was.</summary>
internal static class MarkedProcesses
{
    public static IReadOnlyList<int> Living(string variable, string value)
    {
        var mark = $"{variable}={value}";
        return [.. Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => char.IsAsciiDigit(name![0])).Where(id => IsMarked(id!, mark))
            .Select(id => int.Parse(id!, CultureInfo.InvariantCulture))];
    }

    private static bool IsMarked(string process, string mark)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/environ").Split('\0').Contains(mark); // a dead one that waits to be reaped has no environment any more
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // gone meanwhile, or another user's
        }
    }
}
