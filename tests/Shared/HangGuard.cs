using System.Runtime.CompilerServices;

namespace KestrelHandoff.TestSupport;

/// <summary>Limits on waits that must end by themselves: a guard against a hang, never a delay.</summary>
internal static class HangGuard
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(180);

    public static async Task<T> OrHang<T>(this Task<T> task, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        await ((Task)task).OrHang(file, line);
        return await task;
    }

    public static async Task OrHang(this Task task, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        try
        {
            await task.WaitAsync(Limit);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            throw new TimeoutException($"{Path.GetFileName(file)}:{line} waited {Limit.TotalSeconds} s for something that did not happen.");
        }
    }

    public static Task<T> OrHang<T>(this ValueTask<T> task, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        task.AsTask().OrHang(file, line);

    public static Task OrHang(this ValueTask task, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        task.AsTask().OrHang(file, line);
}
