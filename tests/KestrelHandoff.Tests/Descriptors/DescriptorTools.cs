using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelHandoff.Tests.Descriptors;

/// <summary>Two Unix sockets connected to each other.</summary>
internal sealed class SocketPair : IDisposable
{
    public SocketPair(SocketType type = SocketType.Stream)
    {
        var (first, second) = Libc.SocketPair(type);
        (Near, Far) = (new Socket(first), new Socket(second));
    }

    public Socket Near { get; }

    public Socket Far { get; }

    /// <summary>Sends until the socket is full.</summary>
    /// <returns>The count of bytes now in the queue.</returns>
    public static int Fill(Socket socket)
    {
        int sent, total = 0;
        while ((sent = Libc.Send(socket.SafeHandle, new byte[1024], [])) != Libc.WouldBlock)
        {
            total += sent;
        }

        return total;
    }

    public void Dispose()
    {
        Near.Dispose();
        Far.Dispose();
    }
}

/// <summary>A file of its own for each test, so that the descriptors of one test can be counted while others run.</summary>
internal sealed class TempFile : IDisposable
{
    public TempFile(string content = "hello world")
    {
        File.WriteAllText(Path, content);
        Handle = File.OpenHandle(Path);
    }

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), System.IO.Path.GetRandomFileName());

    public SafeFileHandle Handle { get; }

    /// <summary>How many descriptors of this process are this file.</summary>
    public int OpenCount => OpenDescriptors.Count(Path);

    /// <summary>The same descriptor many times over.</summary>
    public SafeHandle[] Times(int count) => [.. Enumerable.Repeat(Handle, count)];

    public void Dispose()
    {
        Handle.Dispose();
        File.Delete(Path);
    }
}

/// <summary>What /proc says about the descriptors of this process.</summary>
internal static class OpenDescriptors
{
    private const int CloseOnExec = 0x80000; // O_CLOEXEC, which proc_pid_fdinfo(5) shows in octal

    public static int Count(string target) =>
        Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(entry => TargetOf(entry) == target);

    public static string TargetOf(SafeHandle handle) => TargetOf($"/proc/self/fd/{handle.DangerousGetHandle()}")!;

    public static bool IsCloseOnExec(SafeHandle handle)
    {
        var lines = File.ReadLines($"/proc/self/fdinfo/{handle.DangerousGetHandle()}");
        var flags = lines.First(line => line.StartsWith("flags:", StringComparison.Ordinal));
        return (Convert.ToInt32(flags[6..].Trim(), 8) & CloseOnExec) != 0;
    }

    // null when another test has closed it meanwhile
    private static string? TargetOf(string entry)
    {
        try
        {
            return new FileInfo(entry).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }
}

internal static class ReceivedDescriptorsReading
{
    /// <summary>Reads the file behind a received descriptor from its start.</summary>
    public static string ReadText(this DescriptorHandle descriptor)
    {
        using var file = descriptor.TakeFileHandle();
        var content = new byte[RandomAccess.GetLength(file)];
        return Encoding.UTF8.GetString(content, 0, RandomAccess.Read(file, content, 0));
    }
}
