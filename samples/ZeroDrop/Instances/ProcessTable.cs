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
        return [.. All().Where(id => Environment(id).Split('\0').Contains(wanted))];
    }

    /// <summary>The living processes that this one has started and that run their program already.</summary>
    public static int[] ChildrenOf(int parent)
    {
        // Between fork and exec a child has its parent's memory, its environment too. It must not be stopped there: vfork(2) holds the parent.
        var inherited = Environment(parent);
        return [.. All().Where(id => ParentOf(id) == parent && Environment(id) is { Length: > 0 } own && own != inherited)];
    }

    public static async Task SignalAsync(string signal, IEnumerable<int> processIds)
    {
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add($"kill -s {signal} {string.Join(' ', processIds)}"); // the shell's own kill: an image may have no other
        using var shell = Process.Start(start)!;
        await shell.WaitForExitAsync();
    }

    private static IEnumerable<int> All() => Directory.EnumerateDirectories("/proc").Select(Path.GetFileName)
        .Where(n => n is not null && char.IsAsciiDigit(n[0])).Select(n => int.Parse(n!, CultureInfo.InvariantCulture));

    private static string Environment(int processId) => Read($"/proc/{processId}/environ");

    /// <summary>The fourth field; the second, the name in parentheses, may hold anything.</summary>
    private static int ParentOf(int processId)
    {
        var stat = Read($"/proc/{processId}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 1 ? int.Parse(fields[1], CultureInfo.InvariantCulture) : 0;
    }

    /// <returns>Nothing when there is no such process any more, or it is not ours to look into.</returns>
    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
