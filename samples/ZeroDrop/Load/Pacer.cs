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

    /// <summary>Its longest round of sleep and work, of a millisecond or so each: what of a gap may be the client's own.</summary>
    public long WorstRound { get; private set; }

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

    public void ForgetWorstRound() => WorstRound = 0;

    public void Dispose()
    {
        _stopped = true;
        _thread.Join();
    }

    private void Run()
    {
        var before = Clock.Now;
        while (!_stopped)
        {
            Thread.Sleep(1);
            Wake(Clock.Now);
            var now = Clock.Now;
            WorstRound = Math.Max(WorstRound, now - before);
            before = now;
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
