using System.IO.Pipelines;
using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Tests.Connections;

public sealed class ReadSignalTests
{
    private readonly List<(Action<object?> Action, object? State)> _scheduled = [];
    private readonly ReadSignal _signal;
    private int _continued;

    public ReadSignalTests() => _signal = new ReadSignal(new RecordingScheduler(_scheduled));

    [Fact]
    public void Give_BeforeTheWait_TheWaitIsOver()
    {
        _signal.Give();
        Assert.True(_signal.IsCompleted);
        Assert.Empty(_scheduled);
    }

    [Fact]
    public void Give_SeveralTimes_IsOne()
    {
        _signal.Give();
        _signal.Give();
        Take();
        Assert.False(_signal.IsCompleted);
    }

    [Fact]
    public void Give_WhileSomebodyWaits_HeIsScheduledOnce()
    {
        _signal.UnsafeOnCompleted(Continue);
        _signal.Give();
        _signal.Give();
        Assert.Equal(0, _continued); // who gives holds a lock, or polls for all
        RunScheduled();
        Assert.Equal(1, _continued);
    }

    [Fact]
    public void Give_BetweenTheLookAndTheWait_HeIsScheduled()
    {
        Assert.False(_signal.IsCompleted);
        _signal.Give();
        _signal.OnCompleted(Continue);
        RunScheduled();
        Assert.Equal(1, _continued);
    }

    [Fact]
    public void MustSuspend_SignalGivenBefore_HeIsScheduledOnceAndTheNextWaitIsOver()
    {
        _signal.MustSuspend = true;
        _signal.Give();
        Assert.False(_signal.IsCompleted);
        _signal.UnsafeOnCompleted(Continue);
        Assert.Equal(0, _continued);
        RunScheduled();
        Assert.Equal(1, _continued);
        Take();
        _signal.Give();
        Assert.True(_signal.IsCompleted);
    }

    [Fact]
    public void Give_AfterTheSignalWasTaken_TheNextWaitIsOver()
    {
        _signal.UnsafeOnCompleted(Continue);
        _signal.Give();
        RunScheduled();
        Take();
        _signal.Give();
        Assert.True(_signal.IsCompleted);
    }

    [Fact]
    public void IsSpecial_GivenOnce_Stays()
    {
        _signal.Give(isSpecial: true);
        Take();
        _signal.Give();
        Assert.True(_signal.IsSpecial);
    }

    private void Take() => _signal.GetResult();

    private void Continue() => _continued++;

    private void RunScheduled()
    {
        foreach (var (action, state) in _scheduled)
        {
            action(state);
        }

        _scheduled.Clear();
    }

    private sealed class RecordingScheduler(List<(Action<object?> Action, object? State)> scheduled) : PipeScheduler
    {
        public override void Schedule(Action<object?> action, object? state) => scheduled.Add((action, state));
    }
}
