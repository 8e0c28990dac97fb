using System.Collections;
using System.Text;

namespace KestrelHandoff.Transport.Launch;

/// <summary>How a process was started, from the kernel's own record: what the app changed since does not count.</summary>
internal sealed record StartedAs(IReadOnlyList<string> CommandLine, string Directory, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>Reads it for this process; early, since the directory is the one of now.</summary>
    public static StartedAs Read()
    {
        var environment = ReadEnvironment("/proc/self/environ");
        return new(Split("/proc/self/cmdline"), LogicalDirectory(environment), environment);
    }

    /// <param name="record">A process with capabilities of its file may not read it, proc_pid_environ(5); then what the app has now must do.</param>
    internal static Dictionary<string, string> ReadEnvironment(string record)
    {
        try
        {
            return Split(record)
                .Select(entry => entry.Split('=', 2))
                .Where(pair => pair.Length == 2)
                .DistinctBy(pair => pair[0])
                .ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            return System.Environment.GetEnvironmentVariables()
                .Cast<DictionaryEntry>()
                .ToDictionary(entry => (string)entry.Key, entry => (string?)entry.Value ?? "", StringComparer.Ordinal);
        }
    }

    private static string[] Split(string file) => Split(File.ReadAllBytes(file));

    /// <summary>The strings of a record in which each ends with a zero, proc_pid_cmdline(5). An empty one is a string too.</summary>
    internal static string[] Split(byte[] record) => Encoding.UTF8.GetString(record is [.. var all, 0] ? all : record).Split('\0');

    /// <summary>The directory by the name it was entered by, if PWD still names it: getcwd(2) has resolved the symlinks.</summary>
    private static string LogicalDirectory(Dictionary<string, string> environment)
    {
        var physical = System.Environment.CurrentDirectory;
        return environment.TryGetValue("PWD", out var logical) && Path.IsPathRooted(logical) && Resolve(logical) == physical ? logical : physical;
    }

    /// <summary>The physical path of a directory; null if there is none.</summary>
    private static string? Resolve(string path)
    {
        var resolved = "/";
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var next = new DirectoryInfo(Path.Combine(resolved, part));
            if (!next.Exists)
            {
                return null;
            }

            resolved = next.ResolveLinkTarget(returnFinalTarget: true)?.FullName is { } target ? Resolve(target) ?? "" : next.FullName;
        }

        return resolved;
    }
}
