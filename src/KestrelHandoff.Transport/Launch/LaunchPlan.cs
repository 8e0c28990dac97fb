using System.Security.Cryptography;
using System.Text;

namespace KestrelHandoff.Transport.Launch;

/// <summary>What to run for a successor: the command line, directory and environment this instance was started with, or what the options say.</summary>
internal sealed record LaunchPlan(string Executable, IReadOnlyList<string> Arguments, string WorkingDirectory, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>What a launched successor is told; it goes no further than to it.</summary>
    public const string SocketVariable = "KESTREL_HANDOFF_SOCKET";
    public const string TokenVariable = "KESTREL_HANDOFF_TOKEN";
    public const string PriorityVariable = "KESTREL_HANDOFF_PRIORITY";

    private const string Settings = "appsettings*.json";

    private const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>Meant for this process alone: the next one has other descriptors, and another process id.</summary>
    private static readonly string[] NotPassedOn = [SocketVariable, TokenVariable, PriorityVariable, "SYSTEMD_EXEC_PID", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"];

    /// <summary>Makes the plan. Names are looked up now, not when this instance started, so that a symlink to a new release is followed.</summary>
    /// <exception cref="HandoffException">The program or the directory is not there.</exception>
    public static LaunchPlan Make(StartedAs started, SocketHandoffOptions options)
    {
        var directory = options.WorkingDirectory ?? started.Directory;
        if (!Directory.Exists(directory))
        {
            throw new HandoffException(HandoffFailure.LaunchFailed, $"The working directory '{directory}' is gone; restore it or set SocketHandoff:WorkingDirectory.");
        }

        var environment = started.Environment.Where(pair => !NotPassedOn.Contains(pair.Key)).ToDictionary(StringComparer.Ordinal);
        foreach (var (name, value) in options.Environment)
        {
            environment[name] = value;
        }

        // What was typed was meant from where it was typed.
        var (program, arguments, from) = options.Executable is { } executable
            ? (executable, (IReadOnlyList<string>)[.. options.Arguments], directory)
            : (started.CommandLine[0], [.. started.CommandLine.Skip(1)], started.Directory);
        return new(Find(program, from, environment.GetValueOrDefault("PATH") ?? ""), arguments, directory, environment);
    }

    /// <summary>
    /// What tells one build from another: the command line, the program and the files it is given, beside an assembly or an apphost all assemblies, and the settings, there and in
    /// the working directory; each with its length and when it was written. A digest of that.
    /// </summary>
    public string DigestBuild() => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(
        '\n',
        Arguments.Prepend(Executable)
            .Select(name => Path.Combine(WorkingDirectory, name))
            .Where(File.Exists)
            .SelectMany(name => new[] { name, Resolve(name) })
            .Distinct()
            .SelectMany(WithBelongings)
            .Concat(FilesIn(WorkingDirectory, Settings))
            .Select(Resolve)
            .Where(File.Exists)
            .Distinct()
            .Order(StringComparer.Ordinal)
            .Select(name => new FileInfo(name))
            .Select(file => $"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}")
            .Concat(Arguments.Prepend(Executable))))));

    /// <summary>The build that would be launched now; null if there is none.</summary>
    public static string? FindBuild(StartedAs started, SocketHandoffOptions options)
    {
        try
        {
            return Make(started, options).DigestBuild();
        }
        catch (Exception e) when (e is HandoffException or IOException or UnauthorizedAccessException)
        {
            return null; // a launch will tell
        }
    }

    private static string Resolve(string file) => File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file;

    private static IEnumerable<string> WithBelongings(string file) => file.EndsWith(".dll", StringComparison.Ordinal) || File.Exists($"{file}.dll")
        ? [file, .. FilesIn(Path.GetDirectoryName(file)!, "*.dll"), .. FilesIn(Path.GetDirectoryName(file)!, Settings)]
        : [file];

    private static string[] FilesIn(string directory, string pattern)
    {
        try
        {
            return Directory.GetFiles(directory, pattern);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return []; // it may be entered and not be listed
        }
    }

    /// <summary>As a shell finds it: with a slash it is a path, without one it is on PATH.</summary>
    private static string Find(string program, string directory, string path)
    {
        var candidates = program.Contains('/')
            ? [Path.Combine(directory, program)]
            : path.Split(':').Select(entry => Path.Combine(directory, entry, program));
        return candidates.FirstOrDefault(candidate => File.Exists(candidate) && (File.GetUnixFileMode(candidate) & AnyExecute) != 0)
            ?? throw new HandoffException(
                HandoffFailure.LaunchFailed,
                $"The program '{program}' was not found as an executable (directory '{directory}', PATH '{path}'); set SocketHandoff:Executable if it has moved.");
    }
}
