using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ZeroDrop.Load;

namespace ZeroDrop.Instances;

/// <summary>An instance that listens.</summary>
internal sealed record Instance(int ProcessId, int Generation);

/// <summary>The demo app as real processes: starts the first, finds every successor again, and leaves none behind.</summary>
internal sealed partial class DemoApp(RunSettings settings, bool stock) : IAsyncDisposable
{
    private const string MarkVariable = "ZERODROP_RUN"; // inherited by every successor, whoever starts it
    private const int KeptLines = 40;
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(35); // that of the app, and a little more
    private static readonly TimeSpan LeaveLook = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a successor that hangs is waited for; with the defaults that would be most of a run.</summary>
    private static readonly TimeSpan HangTimeout = TimeSpan.FromSeconds(10);

    private readonly string _mark = Guid.NewGuid().ToString("N");
    private readonly ConcurrentQueue<string> _lines = new();
    private Process? _process;

    public Target? Target { get; private set; }

    public IEnumerable<string> LastLines => _lines;

    /// <summary>Starts an instance: the first on ports of the kernel's choice, a later one on the same.</summary>
    /// <exception cref="InvalidOperationException">It did not come to listen; the message ends with what it said.</exception>
    public async Task<Instance> StartAsync(int generation, CancellationToken cancel)
    {
        _process?.Dispose();
        _process = Process.Start(StartInfo(generation))!;
        var ready = new TaskCompletionSource<Match>();
        _ = ReadLinesAsync(_process, ready);
        try
        {
            var match = await ready.Task.WaitAsync(StartTimeout, cancel);
            Target ??= Target.Parse(
                HttpUrl().Match(match.Value).Value,
                TcpUrl().Match(match.Value) is { Success: true } tcp ? tcp.Value : null);
            return new Instance(_process.Id, int.Parse(match.Groups["generation"].ValueSpan, CultureInfo.InvariantCulture));
        }
        catch (TimeoutException)
        {
            throw Failed($"The demo app was not ready after {StartTimeout.TotalSeconds} s.");
        }
    }

    /// <summary>SIGTERM, then waits for the exit.</summary>
    public async Task StopAsync(int processId, CancellationToken cancel)
    {
        await ProcessTable.SignalAsync("TERM", [processId]);
        await _process!.WaitForExitAsync(cancel);
    }

    /// <summary>Waits until only the serving instance is left: predecessors that drain get their time.</summary>
    /// <returns>How many others stay all the same.</returns>
    public async Task<int> CountLeftOverAsync(int serving, CancellationToken cancel)
    {
        var until = Clock.Now + Clock.Ticks(DrainTimeout.TotalMilliseconds);
        while (true)
        {
            var others = Living().Count(id => id != serving);
            if (others == 0 || Clock.Now >= until)
            {
                return others;
            }

            await Task.Delay(LeaveLook, cancel);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Living() is { Length: > 0 } left)
        {
            await ProcessTable.SignalAsync("TERM", left);
            var until = Clock.Now + Clock.Ticks(StopTimeout.TotalMilliseconds);
            while (Clock.Now < until && Living().Length > 0)
            {
                await Task.Delay(20);
            }
        }

        while (Living() is { Length: > 0 } stubborn)
        {
            await ProcessTable.SignalAsync("KILL", stubborn);
            await Task.Delay(20);
        }

        _process?.Dispose();
    }

    private int[] Living() => ProcessTable.WithVariable(MarkVariable, _mark);

    private ProcessStartInfo StartInfo(int generation)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            settings.App, "--urls", $"http://{(object?)Target?.EndPoint ?? "127.0.0.1:0"}",
            .. settings.Tcp > 0 ? ["--tcp", (Target?.TcpEndPoint?.Port ?? 0).ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>(),
            .. stock ? ["--stock", "true", "--generation", generation.ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>(),
        ];
        Array.ForEach(arguments, start.ArgumentList.Add);
        start.Environment[MarkVariable] = _mark;
        SetOption("Probation", TimeSpan.FromSeconds(settings.Probation));
        if (settings.Failing)
        {
            SetOption("LaunchTimeout", HangTimeout);
            SetOption("ReadyTimeout", HangTimeout);
        }

        Array.ForEach(Program.OwnVariables, name => start.Environment.Remove(name));
        return start;

        void SetOption(string name, TimeSpan value) => start.Environment[$"SocketHandoff__{name}"] = value.ToString("c", CultureInfo.InvariantCulture);
    }

    private async Task ReadLinesAsync(Process process, TaskCompletionSource<Match> ready)
    {
        await Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
        ready.TrySetException(Failed("The demo app ended before it was ready."));

        async Task ReadAsync(StreamReader reader)
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                _lines.Enqueue(line);
                if (_lines.Count > KeptLines)
                {
                    _lines.TryDequeue(out _);
                }

                if (ReadyLine().Match(line) is { Success: true } match)
                {
                    ready.TrySetResult(match);
                }
            }
        }
    }

    private InvalidOperationException Failed(string what) => new($"{what} Its last lines:\n{string.Join('\n', _lines)}");

    [GeneratedRegex(@"^ready: generation (?<generation>\d+) process \d+ .*")]
    private static partial Regex ReadyLine();

    [GeneratedRegex(@"\bhttp://\S+")]
    private static partial Regex HttpUrl();

    [GeneratedRegex(@"\btcp://\S+")]
    private static partial Regex TcpUrl();
}
