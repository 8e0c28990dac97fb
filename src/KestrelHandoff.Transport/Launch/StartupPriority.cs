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

    /// <summary>Runs <paramref name="start"/>, which starts a process, so that the process has the lower priority.</summary>
    /// <param name="start">Gets the priority to return to, as text for the environment; null if it is not lowered.</param>
    public static T Lowered<T>(Func<string?, T> start)
    {
        // Priorities are a thread's (sched(7)), and a new process has that of the thread that started it.
        var normal = Libc.GetThreadPriority(0);
        return OnThreadOfItsOwn(() => CanReturn(normal))
            ? OnThreadOfItsOwn(() =>
            {
                _ = Libc.TrySetThreadPriority(0, Math.Min(Lowest, normal + Steps));
                return start(normal.ToString(CultureInfo.InvariantCulture));
            })
            : start(null);
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

    private static bool CanReturn(int normal) =>
        Libc.TrySetThreadPriority(0, Math.Min(Lowest, normal + 1)) && Libc.TrySetThreadPriority(0, normal);

    private static T OnThreadOfItsOwn<T>(Func<T> function)
    {
        var result = new TaskCompletionSource<T>();
        var thread = new Thread(() =>
        {
            try
            {
                result.SetResult(function());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        });
        thread.Start();
        thread.Join();
        return result.Task.GetAwaiter().GetResult();
    }
}
