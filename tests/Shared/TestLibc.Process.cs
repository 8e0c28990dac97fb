using System.ComponentModel;
using System.Runtime.InteropServices;

namespace KestrelHandoff.TestSupport;

/// <summary>Processes that are not ours to wait for (successors are nobody's children here), and files.</summary>
internal static partial class TestLibc
{
    public const int SigKill = 9, SigUsr2 = 12, SigTerm = 15, SigCont = 18, SigStop = 19; // signal(7)

    private const int DescriptorLimit = 7; // RLIMIT_NOFILE, getrlimit(2)
    private const int NoSuchProcess = 3; // ESRCH
    private const int PidfdOpen = 434; // the same on every architecture, syscalls.h
    private const short PollIn = 1; // poll(2)

    /// <summary>Sends a signal; a process that is gone already is fine.</summary>
    public static void Kill(int process, int signal)
    {
        if (SendSignal(process, signal) != 0 && Marshal.GetLastPInvokeError() is not NoSuchProcess)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "getsid")]
    public static partial int SessionOf(int process);

    /// <summary>Kills a process; when this returns it does nothing more.</summary>
    public static async Task KillAsync(int process)
    {
        var exited = WaitForExitAsync(process);
        Kill(process, SigKill);
        await exited;
    }

    /// <summary>Stops a process; when this returns none of its threads runs: the signal alone would let them finish a step. One that is gone already is fine.</summary>
    public static async Task SuspendAsync(int process)
    {
        Kill(process, SigStop);
        while (Threads().Any(thread => !IsStopped(thread)))
        {
            await Task.Yield();
        }

        string[] Threads()
        {
            try
            {
                return Directory.GetDirectories($"/proc/{process}/task");
            }
            catch (DirectoryNotFoundException)
            {
                return [];
            }
        }

        static bool IsStopped(string thread)
        {
            try
            {
                return File.ReadAllText(Path.Combine(thread, "stat")).Split(") ")[^1][0] is 'T' or 'Z'; // proc_pid_stat(5)
            }
            catch (IOException)
            {
                return true; // it has ended
            }
        }
    }

    /// <summary>Completes when a process, of whomever, has ended.</summary>
    public static Task WaitForExitAsync(int process)
    {
        var descriptor = SystemCall(PidfdOpen, process, 0);
        if (descriptor < 0)
        {
            return Marshal.GetLastPInvokeError() == NoSuchProcess
                ? Task.CompletedTask
                : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        return Task.Factory.StartNew(
            () =>
            {
                var poll = new PollDescriptor { Descriptor = (int)descriptor, Events = PollIn };
                while (Poll(ref poll, 1, Timeout.Infinite) < 0)
                {
                }

                _ = Close((int)descriptor);
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    /// <summary>What a process has open.</summary>
    public static IReadOnlyList<string> Descriptors(int process) =>
        [.. Directory.EnumerateFileSystemEntries($"/proc/{process}/fd").Select(entry => new FileInfo(entry).LinkTarget ?? "")];

    /// <summary>Forbids a process more descriptors than it has.</summary>
    /// <param name="process">The process.</param>
    /// <param name="spare">But for so many. The runtime itself needs some now and then, and aborts without: "Out of memory".</param>
    /// <returns>What the limit was.</returns>
    public static ulong ForbidDescriptors(int process, int spare)
    {
        var used = Directory.EnumerateFileSystemEntries($"/proc/{process}/fd").Select(entry => int.Parse(Path.GetFileName(entry), System.Globalization.CultureInfo.InvariantCulture)).ToHashSet();
        return LimitDescriptors(process, (ulong)Enumerable.Range(0, int.MaxValue).Where(number => !used.Contains(number)).ElementAt(spare));
    }

    /// <summary>The number that no new descriptor of the process may reach.</summary>
    /// <returns>What the limit was.</returns>
    public static ulong LimitDescriptors(int process, ulong limit)
    {
        var old = default(ResourceLimit);
        if (GetAndSetLimit(process, DescriptorLimit, 0, ref old) == 0)
        {
            var wanted = old with { Soft = limit };
            if (SetLimit(process, DescriptorLimit, ref wanted, 0) == 0)
            {
                return old.Soft;
            }
        }

        return Marshal.GetLastPInvokeError() == NoSuchProcess ? limit : throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    /// <summary>Puts a file, also a symlink to a directory, in the place of another at one stroke.</summary>
    public static void Rename(string from, string to)
    {
        if (RenameFile(from, to) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameFile(string from, string to);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    private static partial int GetAndSetLimit(int process, int resource, nint wanted, ref ResourceLimit old);

    [LibraryImport("libc", EntryPoint = "prlimit", SetLastError = true)]
    private static partial int SetLimit(int process, int resource, ref ResourceLimit wanted, nint old);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollDescriptor descriptors, nuint count, int timeout);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    private record struct ResourceLimit(ulong Soft, ulong Hard);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }
}
