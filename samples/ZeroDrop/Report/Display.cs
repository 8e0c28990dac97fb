using Spectre.Console;

namespace ZeroDrop.Report;

/// <summary>Shows a run while it is under way: a live display on a terminal, a line a second elsewhere, nothing when quiet.</summary>
internal sealed class Display : IAsyncDisposable
{
    private static readonly TimeSpan LiveStep = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PlainStep = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _end = new(); // cancelled by DisposeAsync alone
    private readonly Task _shown;

    private Display(Func<CancellationToken, Task> show) => _shown = Task.Run(() => show(_end.Token));

    public static Display Start(Progress progress) => new(
        progress.Settings.Quiet ? _ => Task.CompletedTask
        : Console.IsOutputRedirected ? end => ShowLinesAsync(progress, end)
        : end => ShowLiveAsync(progress, end));

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _shown;
        _end.Dispose();
    }

    private static async Task ShowLiveAsync(Progress progress, CancellationToken end)
    {
        var view = new LiveView(progress, LiveStep);
        await AnsiConsole.Live(view.Render()).StartAsync(async context =>
        {
            using var timer = new PeriodicTimer(LiveStep);
            while (await NextAsync(timer, end))
            {
                view.Step();
                context.UpdateTarget(view.Render());
            }

            view.Step();
            context.UpdateTarget(view.Render());
        });
    }

    private static async Task ShowLinesAsync(Progress progress, CancellationToken end)
    {
        var sampler = new Sampler(progress);
        Console.WriteLine($"{Words.Of(progress.Mode)}: {progress.Settings.Describe()}");
        using var timer = new PeriodicTimer(PlainStep);
        for (var second = 1; await NextAsync(timer, end); second++)
        {
            var sample = sampler.Next();
            var recorder = progress.Recorder;
            var parts = string.Join(", ", sample.Parts.Select(p => $"generation {p.Generation}: {p.Count}"));
            Console.WriteLine($"{second,4} s  {sample.Total,6}/s ({parts})  {Failures(recorder)}  {progress.Phase}");
        }
    }

    private static string Failures(Measure.Recorder recorder) => $"lost {recorder.Lost} refused {recorder.Refused} reset {recorder.Resets}";

    private static async Task<bool> NextAsync(PeriodicTimer timer, CancellationToken end)
    {
        try
        {
            return await timer.WaitForNextTickAsync(end);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
