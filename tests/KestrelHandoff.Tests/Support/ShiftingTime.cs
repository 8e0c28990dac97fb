using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace KestrelHandoff.Tests.Support;

/// <summary>A clock that stands still, and tells when somebody has set a timer on it: moving it earlier would do nothing.</summary>
internal sealed class ShiftingTime : TimeProvider
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch);
    private readonly Channel<TimeSpan> _timers = Channel.CreateUnbounded<TimeSpan>();

    public override long TimestampFrequency => _time.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => _time.LocalTimeZone;

    public void Advance(TimeSpan time) => _time.Advance(time);

    /// <summary>Waits until somebody waits for <paramref name="time"/>, and lets it pass.</summary>
    public async Task PassAsync(TimeSpan time)
    {
        while (await _timers.Reader.ReadAsync(TestContext.Current.CancellationToken).OrHang() != time)
        {
        }

        _time.Advance(time);
    }

    public override DateTimeOffset GetUtcNow() => _time.GetUtcNow();

    public override long GetTimestamp() => _time.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = _time.CreateTimer(callback, state, dueTime, period);
        _timers.Writer.TryWrite(dueTime);
        return new ReportedTimer(timer, _timers.Writer);
    }

    /// <summary>Pooled token sources make a timer once and change it for each use.</summary>
    private sealed class ReportedTimer(ITimer timer, ChannelWriter<TimeSpan> timers) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var changed = timer.Change(dueTime, period);
            timers.TryWrite(dueTime);
            return changed;
        }

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
