using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Tests.Connections;

public sealed class SocketPollerTests
{
    /// <summary>Above the numbers that other tests get meanwhile, which are the lowest that are free.</summary>
    private const int HighNumber = 3000;

    private readonly SocketPoller _poller = SocketPoller.Next();

    /// <summary>As many as the runtime has, SocketAsyncEngine.Unix.cs.</summary>
    [Theory]
    [InlineData(1, Architecture.X64, 1)]
    [InlineData(44, Architecture.X64, 1)]
    [InlineData(46, Architecture.X64, 2)]
    [InlineData(11, Architecture.Arm64, 1)]
    [InlineData(64, Architecture.Arm64, 8)]
    public void CountFor_Processors_IsTheRuntimes(int processors, Architecture architecture, int count) =>
        Assert.Equal(count, SocketPoller.CountFor(processors, architecture));

    [Fact]
    public async Task Watch_SomethingIsThere_IsGivenAtOnce()
    {
        var (ours, theirs) = PollerTools.Pair();
        using (ours)
        using (theirs)
        {
            await theirs.SendAsync("x"u8.ToArray());
            var signal = _poller.Watch(ours.SafeHandle);
            await signal.GivenAsync();
            Assert.False(signal.IsSpecial);
        }
    }

    [Fact]
    public async Task Watch_TheEndIsThere_IsGivenAsSpecial()
    {
        var (ours, theirs) = PollerTools.Pair();
        using (ours)
        {
            theirs.Dispose();
            var signal = _poller.Watch(ours.SafeHandle);
            await signal.GivenAsync();
            Assert.True(signal.IsSpecial);
        }
    }

    [Fact]
    public async Task Watch_MoreComes_IsGivenAgainThoughNothingWasReceived()
    {
        var (ours, theirs) = PollerTools.Pair();
        using (ours)
        using (theirs)
        {
            var signal = _poller.Watch(ours.SafeHandle);
            for (var i = 0; i < 3; i++)
            {
                await theirs.SendAsync("x"u8.ToArray());
                await signal.GivenAsync();
            }
        }
    }

    [Fact]
    public void Watch_Closed_Throws()
    {
        var (ours, theirs) = PollerTools.Pair();
        theirs.Dispose();
        ours.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _poller.Watch(ours.SafeHandle));
    }

    /// <summary>What a predecessor hears of a connection that the successor has by now, and so may close and open others.</summary>
    [Fact]
    public async Task Watch_NumberThatWasAnothers_HearsNothingOfTheOther()
    {
        var (first, client) = PollerTools.Pair();
        var (second, _) = PollerTools.Pair();
        using (first)
        using (client)
        using (second)
        {
            int number;
            using (var copy = TestLibc.Duplicate(first.SafeHandle, HighNumber))
            {
                number = (int)copy.DangerousGetHandle();
                _ = _poller.Watch(copy);
            }

            using var other = TestLibc.Duplicate(second.SafeHandle, number);
            Assert.Equal(number, (int)other.DangerousGetHandle());
            var signal = _poller.Watch(other);

            await client.SendAsync("x"u8.ToArray()); // the first is open still, and watched by the number it had
            await _poller.CaughtUpAsync();
            Assert.False(signal.IsCompleted);
        }
    }

    [Fact]
    public async Task Unwatch_TheSocketIsOpenElsewhere_HearsNoMore()
    {
        var (first, client) = PollerTools.Pair();
        using (first)
        using (client)
        {
            using var copy = TestLibc.Duplicate(first.SafeHandle, HighNumber + 100);
            var signal = _poller.Watch(copy);
            _poller.Unwatch(copy, signal);
            await client.SendAsync("x"u8.ToArray());
            await _poller.CaughtUpAsync();
            Assert.False(signal.IsCompleted);
            _ = _poller.Watch(copy); // and can be watched anew
        }
    }

    [Fact]
    public void Unwatch_ClosedByTheApplication_DoesNothing()
    {
        var (first, client) = PollerTools.Pair();
        using (client)
        {
            var signal = _poller.Watch(first.SafeHandle);
            first.Dispose();
            _poller.Unwatch(first.SafeHandle, signal);
        }
    }
}
