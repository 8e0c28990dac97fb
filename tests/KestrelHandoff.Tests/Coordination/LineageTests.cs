using KestrelHandoff.Transport.Coordination;

namespace KestrelHandoff.Tests.Coordination;

public sealed class LineageTests
{
    private readonly Lineage _lineage = new(TimeProvider.System);

    [Fact]
    public void Add_BeforeItHasSaidAnything_IsCounted()
    {
        _lineage.Add(42, 1);
        var draining = Assert.Single(_lineage.Draining);
        Assert.Equal((42, 1, null), (draining.ProcessId, draining.Generation, draining.RetiredAt));
    }

    [Fact]
    public void Update_SaysWhoIsBeforeIt_AllAreListedNearestFirst()
    {
        var predecessor = _lineage.Add(43, 2);
        _lineage.Update(predecessor, [Instance(43, 2) with { Connections = 7 }, Instance(42, 1)]);
        Assert.Equal([(43, 7), (42, 0)], _lineage.Draining.Select(instance => (instance.ProcessId, instance.Connections)));
    }

    [Fact]
    public void Remove_Retired_IsTheLastOneAndTakesThoseItSpokeForAlong()
    {
        var predecessor = _lineage.Add(43, 2);
        _lineage.Update(predecessor, [Instance(43, 2) with { ConnectionsDrained = 5 }, Instance(42, 1)]);
        _lineage.Remove(predecessor, hasRetired: true);
        Assert.Empty(_lineage.Draining);
        Assert.Equal((43, 5), (_lineage.LastRetired!.ProcessId, _lineage.LastRetired.ConnectionsDrained));
        Assert.NotNull(_lineage.LastRetired.RetiredAt);
    }

    [Fact]
    public void Remove_ServesAgain_HasNotRetired()
    {
        _lineage.Remove(_lineage.Add(42, 1), hasRetired: false);
        Assert.Null(_lineage.LastRetired);
    }

    [Fact]
    public async Task WhenNone_TwoDrain_EndsWithTheLast()
    {
        Assert.True(_lineage.WhenNone().IsCompleted);
        var (first, second) = (_lineage.Add(42, 1), _lineage.Add(43, 2));
        var none = _lineage.WhenNone();
        _lineage.Remove(first, hasRetired: true);
        Assert.False(none.IsCompleted);
        _lineage.Remove(second, hasRetired: true);
        await none.OrHang();
    }

    private static HandoffDrainingInstance Instance(int processId, int generation) => new(processId, generation, DateTimeOffset.UnixEpoch);
}
