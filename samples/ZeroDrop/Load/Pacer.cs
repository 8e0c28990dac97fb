using System.Threading.Tasks.Sources;

namespace ZeroDrop.Load;

/// <summary>Wakes load clients at their times, to the millisecond, from one thread and without allocating.</summary>
internal sealed class Pacer : IDisposable
{
    private readonly PriorityQueue<Pulse, long> _waiting = new();
    private readonly Lock _gate = new();
    private readonly Thread _thread;
    private volatile bool _stopped;

    public Pacer()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "pacer" };
        _thread.Start();
    }

    /// <summary>How late its own sleep was at worst: what of a gap is this machine's scheduling and not the server.</summary>
    public long WorstOversleep { get; private set; }

    /// <summary>Completes at <paramref name="due"/>, or at once when the pacer has stopped.</summary>
    public ValueTask UntilAsync(Pulse pulse, long due)
    {
        if (_stopped || due <= Clock.Now)
        {
            return ValueTask.CompletedTask;
        }

        var wait = pulse.Reset();
        lock (_gate)
        {
            _waiting.Enqueue(pulse, due);
        }

        return wait;
    }

    public void ForgetOversleep() => WorstOversleep = 0;

    public void Dispose()
    {
        _stopped = true;
        _thread.Join();
    }

    private void Run()
    {
        while (!_stopped)
        {
            var before = Clock.Now;
            Thread.Sleep(1);
            WorstOversleep = Math.Max(WorstOversleep, Clock.Now - before);
            Wake(Clock.Now);
        }

        Wake(long.MaxValue);
    }

    private void Wake(long now)
    {
        while (true)
        {
            Pulse? pulse;
            lock (_gate)
            {
                if (!_waiting.TryPeek(out pulse, out var due) || due > now)
                {
                    return;
                }

                _waiting.Dequeue();
            }

            pulse.Complete(); // runs the client up to its next wait, on this thread
        }
    }
}

/// <summary>A client's place in the <see cref="Pacer"/>; waits once at a time.</summary>
internal sealed class Pulse : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _core;

    public ValueTask Reset()
    {
        _core.Reset();
        return new ValueTask(this, _core.Version);
    }

    public void Complete() => _core.SetResult(true);

    public void GetResult(short token) => _core.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
