using ZeroDrop.Report;

namespace ZeroDrop;

internal static class Program
{
    /// <summary>Settings of the runtime that are for the load client alone; the app must not inherit them.</summary>
    public static readonly string[] OwnVariables = ["DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT"];

    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(30);

    private static async Task<int> Main(string[] args)
    {
        // Before the first socket: answers are then read on the thread that epoll wakes, with no hop to the thread pool. One such
        // thread is plenty for this load, and leaves the cores to the servers.
        Array.ForEach(OwnVariables, name => Environment.SetEnvironmentVariable(name, "1"));
        var command = CommandLine.Create(RunAsync);
        return await command.Parse(args).InvokeAsync(new() { ProcessTerminationTimeout = EndTimeout });
    }

    private static async Task<int> RunAsync(RunSettings settings, CancellationToken cancel)
    {
        var results = new List<RunResult>();
        try
        {
            foreach (var mode in settings.Modes)
            {
                var progress = new Progress(mode, settings);
                await using (Display.Start(progress))
                {
                    results.Add(await new Scenario(settings, progress).RunAsync(cancel));
                }
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; all instances have been ended.");
            return 130; // as a shell reports SIGINT
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or System.Net.Sockets.SocketException)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 2;
        }

        if (settings.Json)
        {
            JsonReport.Write(results, Console.Out);
        }
        else
        {
            ResultReport.Write(results);
        }

        return results.Where(r => r.Mode == RunMode.Handoff || results.Count == 1).All(r => r.IsFlawless) ? 0 : 1;
    }
}
