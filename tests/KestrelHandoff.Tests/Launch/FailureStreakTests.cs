using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Launch;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Launch;

public sealed class FailureStreakTests
{
    private readonly SocketHandoffOptions _options = new() { MaxFailures = 2 };
    private readonly ShiftingTime _time = new();
    private readonly FailureStreak _streak;

    public FailureStreakTests() => _streak = new(Options.Create(_options), _time);

    [Fact]
    public void Check_SameBuildFailedOftenEnough_RefusedWithTheReasonAndTheWayOut()
    {
        _streak.Add("a", "It threw.");
        _streak.Check("a");
        _streak.Add("a", "It threw again.");
        var refused = Assert.Throws<HandoffException>(() => _streak.Check("a"));
        Assert.Equal(HandoffFailure.Suspended, refused.Failure);
        Assert.Contains("The last 2 handoffs", refused.Message, StringComparison.Ordinal);
        Assert.Contains("It threw again.", refused.Message, StringComparison.Ordinal);
        Assert.Contains("force=true", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_SomeTimeLater_IsTriedAgain()
    {
        _streak.Add("a", "");
        _streak.Add("a", "");
        _time.Advance(TimeSpan.FromMinutes(10));
        _streak.Check("a"); // what it failed of may be cured
        _streak.Add("a", "");
        Assert.Throws<HandoffException>(() => _streak.Check("a"));
    }

    [Fact]
    public void Check_NewBuild_IsTried()
    {
        _streak.Add("a", "");
        _streak.Add("a", "");
        _streak.Check("b");
        _streak.Add("b", "");
        _streak.Check("b"); // its own streak
    }

    [Fact]
    public void Check_NoLimit_IsAlwaysTried()
    {
        _options.MaxFailures = 0;
        _streak.Add("a", "");
        _streak.Add("a", "");
        _streak.Check("a");
    }
}
