namespace KestrelHandoff.Tests.Support;

/// <summary>A directory of its own for each test, short enough for a socket path.</summary>
internal sealed class TempDirectory : IDisposable
{
    public TempDirectory(UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute)
    {
        Directory.CreateDirectory(Path);
        File.SetUnixFileMode(Path, mode); // the umask does not count here
    }

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), System.IO.Path.GetRandomFileName());

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        if (Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
