using System.Globalization;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Launch;

/// <summary>Breaks the loop of a deploy tool that tries a broken build again and again, each time at the cost of a start.</summary>
internal sealed class FailureStreak(IOptions<SocketHandoffOptions> options, TimeProvider time)
{
    /// <summary>What a build fails of may be cured elsewhere: a database, a setting.</summary>
    private static readonly TimeSpan Lapse = TimeSpan.FromMinutes(10);

    private readonly Lock _sync = new();
    private string? _build;
    private int _count;
    private DateTimeOffset _last;
    private long _lastTimestamp;
    private string _detail = "";

    /// <exception cref="HandoffException">This build has failed too often.</exception>
    public void Check(string build)
    {
        lock (_sync)
        {
            var limit = options.Value.MaxFailures;
            if (limit > 0 && _count >= limit && build == _build && time.GetElapsedTime(_lastTimestamp) < Lapse)
            {
                var at = _last.ToString("HH:mm:ss'Z'", CultureInfo.InvariantCulture);
                throw new HandoffException(
                    HandoffFailure.Suspended,
                    $"The last {_count} handoffs to this build have failed, the last at {at}: {_detail} "
                    + $"Deploy another build, wait for {Lapse.TotalMinutes} minutes, or insist on launching it with POST …?force=true ({SocketHandoffOptions.SectionName}:{nameof(SocketHandoffOptions.MaxFailures)} is {limit}).");
            }
        }
    }

    public void Add(string build, string detail)
    {
        lock (_sync)
        {
            _count = build == _build ? _count + 1 : 1;
            (_build, _last, _lastTimestamp, _detail) = (build, time.GetUtcNow(), time.GetTimestamp(), detail);
        }
    }
}
