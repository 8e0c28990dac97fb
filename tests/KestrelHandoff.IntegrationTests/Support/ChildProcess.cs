using System.Diagnostics;
using System.Text;
using System.Threading.Channels;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>A real process. What it prints is the test's only clock: tests wait for lines, never for time.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private ChildProcess(Process process)
    {
        _process = process;
        _output = ReadAsync(process.StandardOutput);
        _error = ReadAsync(process.StandardError);
        _ = Task.WhenAll(_output, _error).ContinueWith(_ => _lines.Writer.Complete(), TaskScheduler.Default);
    }

    public int Id => _process.Id;

    public static ChildProcess Start(string program, params string[] arguments) =>
        new(Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!);

    /// <summary>Runs a program that must succeed.</summary>
    public static async Task RunAsync(string program, params string[] arguments)
    {
        await using var process = Start(program, arguments);
        var end = await process.EndAsync();
        Assert.True(end.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {end.Error}");
    }

    /// <summary>Waits for a line, on either output, that starts with a text.</summary>
    public async Task<string> HearAsync(string start)
    {
        while (await _lines.Reader.WaitToReadAsync().OrHang())
        {
            while (_lines.Reader.TryRead(out var line))
            {
                if (line.StartsWith(start, StringComparison.Ordinal))
                {
                    return line;
                }
            }
        }

        throw new EndOfStreamException($"{await EndAsync()} came without a line '{start}…'.");
    }

    /// <summary>Waits for the end of the process and of both its outputs.</summary>
    public async Task<ProcessEnd> EndAsync()
    {
        var (output, error) = (await _output.OrHang(), await _error.OrHang());
        await _process.WaitForExitAsync().OrHang();
        return new ProcessEnd(_process.ExitCode, output, error);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync().OrHang();
        _process.Dispose();
    }

    private async Task<string> ReadAsync(StreamReader reader)
    {
        var all = new StringBuilder();
        while (await reader.ReadLineAsync() is { } line)
        {
            all.Append(line).Append('\n');
            _lines.Writer.TryWrite(line);
        }

        return all.ToString();
    }
}

/// <summary>How a process ended and all it printed.</summary>
internal sealed record ProcessEnd(int ExitCode, string Output, string Error);
