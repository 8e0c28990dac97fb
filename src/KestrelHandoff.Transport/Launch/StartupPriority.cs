using System.Globalization;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Launch;

/// <summary>
/// A successor that starts competes with the instance that serves for the same cores, and its JIT would make clients wait. So it starts
/// with a lower priority, and gets the right one at the commit. Only where this user may raise it again (root, CAP_SYS_NICE, or
/// RLIMIT_NICE): elsewhere each generation would be slower than the one before.
/// </summary>
internal static class StartupPriority
{
    /// <summary>Steps of nice(2): about a tenth of the weight of the instance that serves, sched(7).</summary>
    private const int Steps = 10;

    private const int Lowest = 19;

    /// <summary>
    /// Runs <paramref name="start"/>, which starts a process, so that the process has the lower priority; on a thread of its own, for
    /// priorities are a thread's (sched(7)), a new process has that of the thread that started it, and a launch keeps a thread busy
    /// that clients wait for where the pool has few.
    /// </summary>
    /// <param name="start">Gets the priority to return to, as text for the environment; null if it is not lowered.</param>
    public static Task<T> RunLoweredAsync<T>(Func<string?, T> start)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                var normal = Libc.GetThreadPriority(0);
                result.SetResult(start(TryLower(normal) ? normal.ToString(CultureInfo.InvariantCulture) : null));
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        })
        { IsBackground = true, Name = "Handoff launch" };
        thread.Start();
        return result.Task;
    }

    /// <summary>Gives all threads of this process the priority that its predecessor had.</summary>
    public static void Restore(string? priority)
    {
        if (!int.TryParse(priority, CultureInfo.InvariantCulture, out var normal))
        {
            return;
        }

        // A thread that is started meanwhile has the priority of its starter: again until none is left.
        for (var isDone = false; !isDone;)
        {
            isDone = true;
            foreach (var task in Directory.EnumerateDirectories("/proc/self/task"))
            {
                var thread = int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture);
                isDone &= Libc.GetThreadPriority(thread) <= normal || !Libc.TrySetThreadPriority(thread, normal);
            }
        }
    }

    /// <summary>Lowers this thread's priority, if it could be raised again.</summary>
    private static bool TryLower(int normal)
    {
        // Tried on a thread of its own: one that may not come back would start a successor that stays lower, and each generation a step more.
        var canRaise = false;
        var trial = new Thread(() => canRaise = Libc.TrySetThreadPriority(0, Math.Min(Lowest, normal + 1)) && Libc.TrySetThreadPriority(0, normal));
        trial.Start();
        trial.Join();
        return canRaise && Libc.TrySetThreadPriority(0, Math.Min(Lowest, normal + Steps));
    }
}
