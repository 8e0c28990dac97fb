using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>Where this instance stands. The only place that changes the phase.</summary>
internal sealed class InstanceState(TimeProvider time, HandoffMetrics metrics, ILogger<InstanceState> logger) : IDisposable
{
    private readonly Lock _sync = new();
    private readonly TaskCompletionSource _activated = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _retiring = new();
    private HandoffPhase _phase = HandoffPhase.Starting;
    private DateTimeOffset _since = time.GetUtcNow();
    private long _entered = time.GetTimestamp();

    /// <summary>Raised after each move, outside the lock, with the phase left and the time it took.</summary>
    public event Action<HandoffPhase, TimeSpan>? Left;

    public int Generation { get; set; } = 1;

    /// <summary>False while a predecessor may still take back what this instance serves.</summary>
    public bool IsConfirmed { get; set; } = true;

    public Task Activated => _activated.Task;

    public CancellationToken Retiring => _retiring.Token;

    public (HandoffPhase Phase, DateTimeOffset Since) Current
    {
        get
        {
            lock (_sync)
            {
                return (_phase, _since);
            }
        }
    }

    /// <summary>Takes the move if the machine has one; the phase stays as it is otherwise.</summary>
    public bool TryMove(HandoffSignal signal)
    {
        HandoffPhase from, to;
        TimeSpan took;
        lock (_sync)
        {
            from = _phase;
            if (HandoffMachine.Next(from, signal) is not { } next)
            {
                return false;
            }

            var now = time.GetTimestamp();
            took = time.GetElapsedTime(_entered, now);
            (to, _phase, _since, _entered) = (next, next, time.GetUtcNow(), now);
        }

        Tell(from, to, signal, took);
        if (to == HandoffPhase.Serving)
        {
            _activated.TrySetResult();
        }
        else if (to == HandoffPhase.Draining)
        {
            _ = RetireAsync();
        }

        return true;
    }

    /// <exception cref="InvalidOperationException">The machine has no such move: a fault of this library.</exception>
    public void Move(HandoffSignal signal)
    {
        if (!TryMove(signal))
        {
            throw new InvalidOperationException($"An instance that is {Current.Phase} cannot take the signal {signal}.");
        }
    }

    public void Dispose() => _retiring.Dispose();

    private void Tell(HandoffPhase from, HandoffPhase to, HandoffSignal signal, TimeSpan took)
    {
        try
        {
            Left?.Invoke(from, took);
            metrics.PhaseLeft(from, took);
            Log.Moved(logger, from, to, signal, took.TotalMilliseconds);
        }
        catch (Exception)
        {
            // A logger or a meter's listener of the app's that throws must not undo a move that is made.
        }
    }

    /// <summary>Runs the app's callbacks on their own: one that blocks or throws must not undo a handoff that is done.</summary>
    private async Task RetireAsync()
    {
        try
        {
            await _retiring.CancelAsync();
        }
        catch (AggregateException e)
        {
            Log.RetiringCallbackFailed(logger, e);
        }
    }
}
