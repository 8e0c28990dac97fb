using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Control;

/// <summary>Where the control socket of one handoff lies when none is configured.</summary>
internal static class PrivateSocket
{
    private const int NameBytes = 4;

    /// <summary>A path nobody has, in a directory of this user's own.</summary>
    public static string NewPath()
    {
        // systemd's RuntimeDirectory= and the user's runtime directory are private already; the shared temp directory gets a private one inside.
        var directory = Variable("RUNTIME_DIRECTORY")?.Split(':')[0]
            ?? (Variable("XDG_RUNTIME_DIR") is { } runtime ? Usable(Path.Combine(runtime, "kestrel-handoff")) : null)
            ?? Path.Combine(Path.GetTempPath(), $"kestrel-handoff-{Libc.EffectiveUser()}");
        return Path.Combine(directory, $"{Environment.ProcessId}-{Convert.ToHexStringLower(Libc.RandomBytes(NameBytes))}.sock");
    }

    /// <summary>Null if it cannot be made: after sudo the variable may still name the directory of another user.</summary>
    private static string? Usable(string directory)
    {
        try
        {
            return Directory.CreateDirectory(directory, ControlSocket.OwnerOnly).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
