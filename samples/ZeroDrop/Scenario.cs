using ZeroDrop.Instances;
using ZeroDrop.Load;
using ZeroDrop.Measure;

namespace ZeroDrop;

/// <summary>One run: an app, load on it, and the replacements.</summary>
internal sealed class Scenario(RunSettings settings, Progress progress)
{
    private const double WarmUpSeconds = 3; // the first requests meet code that is still being compiled, here and there
    private const double FactsBeforeSeconds = 1;
    private static readonly TimeSpan BeforeIdleProbe = TimeSpan.FromSeconds(1);

    public async Task<RunResult> RunAsync(CancellationToken cancel)
    {
        await using var app = new DemoApp(settings, stock: progress.Mode == RunMode.StopStart);
        var (target, first) = await StartAsync(app, cancel);
        await using var load = new LoadGenerator(settings, target, progress.Recorder);
        var replacement = Replacement(app, target, first, load);
        progress.Streams = [.. new[] { (load.WebSockets, settings.WebSockets), (load.Tcp, settings.Tcp) }.Where(s => s.Item2 > 0).Select(s => s.Item1)];

        progress.Phase = "warming up";
        var start = Clock.Now;
        await load.StartAsync().WaitAsync(cancel);
        await WaitUntilAsync(start, WarmUpSeconds, load, cancel);
        load.BeginMeasuring();
        var cpu = Environment.CpuUsage.TotalTime;
        var measuredFrom = Clock.Now;

        await ReplaceAllAsync(replacement, load, cancel);
        progress.Phase = "steady again";
        var rest = Math.Max(settings.Interval, settings.Duration - (Seconds(Clock.Now) - Seconds(measuredFrom)));
        await WaitUntilAsync(Clock.Now, rest, load, cancel);

        var measured = new Window(measuredFrom, Clock.Now);
        var seconds = Seconds(measured.To) - Seconds(measured.From);
        var share = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds / seconds;
        progress.Phase = "waiting for the last answers";
        await load.StopAsync();
        progress.Phase = "waiting for the predecessors to leave";
        var left = settings.Failing ? await app.CountLeftOverAsync(replacement.Serving!.ProcessId, cancel) : 0;
        progress.Phase = "done";
        var figures = Analysis.Of(progress.Recorder, measured, [.. progress.Replacements.Select(r => r.Window)]);
        return new RunResult(progress.Mode, seconds, progress, figures, progress.Recorder.Failures(), share, load.OwnStallMs)
        {
            ProcessesLeftOver = left,
        };
    }

    private async Task<(Target, Instance?)> StartAsync(DemoApp app, CancellationToken cancel)
    {
        if (settings.Url is not null)
        {
            var target = Target.Parse(settings.Url, settings.TcpEndPoint);
            return (target, await new AdminClient(target).ServingAsync());
        }

        var first = await app.StartAsync(1, cancel);
        return (app.Target!, first);
    }

    private IReplacement Replacement(DemoApp app, Target target, Instance? first, LoadGenerator load)
    {
        if (progress.Mode == RunMode.StopStart)
        {
            return new StopStartReplacement(app, first!);
        }

        var admin = new AdminClient(target);
        var handoff = new HandoffReplacement(admin, first);
        return settings.Failing ? new FailingReplacement(admin, handoff, load.Idle) : handoff;
    }

    private async Task ReplaceAllAsync(IReplacement replacement, LoadGenerator load, CancellationToken cancel)
    {
        for (var number = 1; number <= settings.Handoffs; number++)
        {
            progress.Phase = "steady";
            var since = Clock.Now;
            await WaitUntilAsync(since, settings.Interval - FactsBeforeSeconds, load, cancel);
            var facts = settings.Url is null && replacement.Serving is { } serving ? ProcessTable.Facts(serving.ProcessId) : null;
            await WaitUntilAsync(since, settings.Interval, load, cancel);

            progress.Phase = progress.Mode == RunMode.Handoff ? "handing off" : "stopping and starting";
            progress.Replacing = true;
            var record = await replacement.ReplaceAsync(number, facts, cancel);
            progress.Replacing = false;
            progress.Replacements = [.. progress.Replacements, record];

            if (settings.Idle > 0)
            {
                progress.Phase = "asking the idle connections";
                await Task.Delay(BeforeIdleProbe, cancel);
                await load.Idle.AskAllAsync().WaitAsync(cancel);
            }
        }
    }

    private static async Task WaitUntilAsync(long since, double seconds, LoadGenerator load, CancellationToken cancel)
    {
        var until = since + Clock.Ticks(seconds * 1000);
        while (Clock.Now < until)
        {
            load.ThrowIfBroken();
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Clamp(Clock.Milliseconds(until - Clock.Now), 1, 500)), cancel);
        }
    }

    private static double Seconds(long ticks) => Clock.Milliseconds(ticks) / 1000;
}
