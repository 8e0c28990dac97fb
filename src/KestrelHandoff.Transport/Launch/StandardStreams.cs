using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelHandoff.Transport.Launch;

/// <summary>A launched successor starts with pipes for stdout and stderr, so that a failed start can be told; then it gets the predecessor's own.</summary>
internal static class StandardStreams
{
    private const int Output = 1, Error = 2;

    /// <summary>This process's stdout and stderr, or nothing if it has none.</summary>
    public static SafeHandle[] Open() => LinkOf(Output) is null || LinkOf(Error) is null
        ? []
        : [new SafeFileHandle(Output, ownsHandle: false), new SafeFileHandle(Error, ownsHandle: false)];

    /// <summary>Puts <paramref name="output"/> and <paramref name="error"/> in the place of this process's stdout and stderr.</summary>
    public static void Replace(SafeHandle output, SafeHandle error)
    {
        // The console streams write to duplicates of 1 and 2 that .NET made at the first use, under numbers it does not tell:
        // every descriptor of the same pipe is replaced. dup3(2) does it between two writes, never inside one.
        var (outputLink, errorLink) = (LinkOf(Output), LinkOf(Error));
        foreach (var entry in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            var number = int.Parse(Path.GetFileName(entry), System.Globalization.CultureInfo.InvariantCulture);
            if (LinkOf(number) is { } link && link.StartsWith("pipe:", StringComparison.Ordinal))
            {
                if (link == outputLink)
                {
                    Libc.Replace(number, output, closeOnExec: number > Error);
                }
                else if (link == errorLink)
                {
                    Libc.Replace(number, error, closeOnExec: number > Error);
                }
            }
        }
    }

    private static string? LinkOf(int descriptor)
    {
        try
        {
            return File.ResolveLinkTarget($"/proc/self/fd/{descriptor}", returnFinalTarget: false)?.Name;
        }
        catch (IOException)
        {
            return null; // closed
        }
    }
}
