using System.Text;

namespace KestrelHandoff.TestApp;

/// <summary>What this process was asked to execute, one id a line, in a file of its own in the test's directory.</summary>
internal static class Executions
{
    private static readonly Lock Sync = new();

    // Unbuffered: the line is there when the request is answered.
    private static readonly Lazy<FileStream> File = new(() => new FileStream(
        Path.Combine(Environment.GetEnvironmentVariable("TESTAPP_DIRECTORY")!, $"executed-{Environment.ProcessId}"),
        new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite, BufferSize = 0 }));

    public static void Note(string id)
    {
        lock (Sync)
        {
            File.Value.Write(Encoding.UTF8.GetBytes($"{id}\n"));
        }
    }
}
