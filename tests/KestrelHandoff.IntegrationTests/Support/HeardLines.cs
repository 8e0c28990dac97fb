namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>The lines of an output as they come; each is heard once, whatever came before it.</summary>
internal sealed class HeardLines : IAsyncDisposable
{
    private readonly StreamReader _reader;
    private readonly Lock _sync = new();
    private readonly List<string> _lines = [];
    private readonly HashSet<int> _heard = [];
    private readonly Task _reading;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _hasEnded;

    public HeardLines(StreamReader reader)
    {
        _reader = reader;
        _reading = Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>All of it so far.</summary>
    public string Text
    {
        get
        {
            lock (_sync)
            {
                return string.Join('\n', _lines);
            }
        }
    }

    /// <summary>Waits for a line with one of the texts that was not heard before.</summary>
    public Task<string> HearAsync(params string[] texts) => FindAsync(texts, again: false);

    /// <summary>Waits for the first line with a text, heard before or not.</summary>
    public Task<string> HeardAsync(string text) => FindAsync([text], again: true);

    /// <summary>Waits until every process that could write has gone.</summary>
    public Task EndAsync() => _reading.OrHang();

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _reader.Dispose();
    }

    private async Task<string> FindAsync(string[] texts, bool again)
    {
        while (true)
        {
            Task changed;
            lock (_sync)
            {
                for (var i = 0; i < _lines.Count; i++)
                {
                    if (texts.Any(text => _lines[i].Contains(text, StringComparison.Ordinal)) && (again || !_heard.Contains(i)))
                    {
                        _heard.Add(i);
                        return _lines[i];
                    }
                }

                if (_hasEnded)
                {
                    throw new EndOfStreamException($"The output ended without '{texts[0]}':\n{string.Join('\n', _lines)}");
                }

                changed = _changed.Task;
            }

            try
            {
                await changed.OrHang();
            }
            catch (TimeoutException e)
            {
                throw new TimeoutException($"'{texts[0]}' was not said:\n{Text}", e);
            }
        }
    }

    // On a thread of its own: a read from a pipe blocks, and there are many of them.
    private void Read()
    {
        while (_reader.ReadLine() is { } line)
        {
            Add(line);
        }

        Add(null);
    }

    private void Add(string? line)
    {
        TaskCompletionSource changed;
        lock (_sync)
        {
            _hasEnded |= line is null;
            _lines.AddRange(line is null ? [] : [line]);
            (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        changed.SetResult();
    }
}
