namespace KestrelHandoff.Fuzz;

internal static class Program
{
    private static async Task<int> Main(string[] args) => await CommandLine.Create(RunAsync).Parse(args).InvokeAsync();

    private static async Task<int> RunAsync(Func<FuzzSettings, CancellationToken, Task<string>> fuzz, FuzzSettings settings, CancellationToken cancel)
    {
        try
        {
            await Console.Out.WriteLineAsync(await fuzz(settings, cancel));
            return 0;
        }
        catch (FuzzFailure e)
        {
            await Console.Error.WriteLineAsync($"FAILED: {e.Message}");
            return 1;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted; nothing was found up to here.");
            return 130; // as a shell reports SIGINT
        }
    }
}
