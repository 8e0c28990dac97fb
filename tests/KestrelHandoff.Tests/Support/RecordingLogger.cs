using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Tests.Support;

/// <summary>Keeps what is logged, so that a test can wait for it.</summary>
internal sealed class RecordingLogger<T> : ILogger<T>
{
    private readonly Channel<LogLine> _lines = Channel.CreateUnbounded<LogLine>();

    /// <summary>Waits for the next line with that id.</summary>
    public async Task<LogLine> NextAsync(int id)
    {
        while (true)
        {
            var line = await _lines.Reader.ReadAsync(TestContext.Current.CancellationToken).OrHang();
            if (line.Id == id)
            {
                return line;
            }
        }
    }

    /// <summary>What has been logged since it was last asked.</summary>
    public IReadOnlyList<LogLine> Take()
    {
        var lines = new List<LogLine>();
        while (_lines.Reader.TryRead(out var line))
        {
            lines.Add(line);
        }

        return lines;
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Writer.TryWrite(new(eventId.Id, formatter(state, exception), exception));
}

internal sealed record LogLine(int Id, string Text, Exception? Exception);
