using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Time.Testing;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>There is one pool in a process: no other test reaches for its floor.</summary>
public sealed class PoolFloorTests : IDisposable
{
    private const int Own = 3;

    private readonly FakeTimeProvider _time = new();
    private readonly PoolFloor _floor;
    private readonly int _before = Workers;

    public PoolFloorTests()
    {
        Workers = Own;
        _floor = new(_time);
    }

    private static int Workers
    {
        get
        {
            ThreadPool.GetMinThreads(out var workers, out _);
            return workers;
        }

        set
        {
            ThreadPool.GetMinThreads(out _, out var completions);
            Assert.True(ThreadPool.SetMinThreads(value, completions));
        }
    }

    public void Dispose()
    {
        _floor.Dispose();
        Workers = _before;
    }

    [Fact]
    public void Raised_StaysForAWhileAfterwardsAndIsTheAppsAgain()
    {
        var raised = _floor.Raise();
        Assert.Equal(PoolFloor.Height, Workers);
        raised.Dispose();
        _time.Advance(PoolFloor.Afterwards - TimeSpan.FromSeconds(1));
        Assert.Equal(PoolFloor.Height, Workers);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(Own, Workers);
    }

    [Fact]
    public void RaisedTwice_StaysUntilNobodyNeedsIt()
    {
        var first = _floor.Raise();
        var second = _floor.Raise();
        first.Dispose();
        first.Dispose();
        _time.Advance(PoolFloor.Afterwards);
        Assert.Equal(PoolFloor.Height, Workers);
        second.Dispose();
        _time.Advance(PoolFloor.Afterwards);
        Assert.Equal(Own, Workers);
    }

    [Fact]
    public void RaisedAgainBeforeItIsLowered_StaysAndIsTheAppsInTheEnd()
    {
        _floor.Raise().Dispose();
        _time.Advance(PoolFloor.Afterwards / 2);
        var again = _floor.Raise();
        _time.Advance(PoolFloor.Afterwards);
        Assert.Equal(PoolFloor.Height, Workers);
        again.Dispose();
        _time.Advance(PoolFloor.Afterwards);
        Assert.Equal(Own, Workers);
    }

    [Fact]
    public void AppSetsItMeanwhile_StaysSo()
    {
        var raised = _floor.Raise();
        Workers = Own + 1;
        raised.Dispose();
        _time.Advance(PoolFloor.Afterwards);
        Assert.Equal(Own + 1, Workers);
    }

    [Fact]
    public void AppHasMore_Untouched()
    {
        Workers = PoolFloor.Height + 1;
        using var raised = _floor.Raise();
        Assert.Equal(PoolFloor.Height + 1, Workers);
    }

    [Fact]
    public void HostEnds_IsTheAppsAgainAtOnce()
    {
        _floor.Raise().Dispose();
        _floor.Dispose();
        Assert.Equal(Own, Workers);
    }
}
