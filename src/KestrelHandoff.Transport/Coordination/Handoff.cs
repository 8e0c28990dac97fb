using System.Security.Cryptography;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Launch;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>One handoff from the predecessor's side: what is known of it so far.</summary>
internal sealed class Handoff(HandoffTrigger trigger, int generation, TimeProvider time)
{
    private readonly Lock _sync = new();
    private readonly long _started = time.GetTimestamp();
    private readonly byte[] _token = Libc.RandomBytes(32);
    private readonly List<HandoffPhaseDuration> _phases = [];
    private HandoffReport _report = new(Guid.NewGuid(), trigger, time.GetUtcNow())
    {
        Predecessor = new(Environment.ProcessId, generation),
    };

    public Guid Id => _report.Id;

    /// <summary>Completes with the successor's connection when it has introduced itself.</summary>
    public TaskCompletionSource<Greeting> Greeted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when all is done, for good or ill.</summary>
    public TaskCompletionSource Over { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The successor's connection once it may take over; kept to the end of this instance, for the successor waits for its end.</summary>
    public Greeting? Successor { get; set; }

    /// <summary>The listener that the request for the handoff came in by.</summary>
    public string? PreferredListener { get; init; }

    /// <summary>The successor has every listener that is handed over.</summary>
    public bool IsOffered { get; set; }

    /// <summary>See <see cref="LaunchPlan.DigestBuild"/>; null with an independent successor that does not tell.</summary>
    public string? Build { get; init; }

    /// <summary>The connections the successor had when it was last asked.</summary>
    public int SuccessorConnections { get; set; }

    /// <summary>Connections that a successor on probation has given back.</summary>
    public int Returned { get; set; }

    /// <summary>The launched process; null with an independent successor.</summary>
    public SuccessorProcess? Process { get; set; }

    /// <summary>The secret for the launched successor, as text for its environment.</summary>
    public string Token => Convert.ToHexString(_token);

    /// <summary>The report as of now.</summary>
    public HandoffReport Report
    {
        get
        {
            lock (_sync)
            {
                return _report with { DurationMs = _report.Outcome == HandoffOutcome.Running ? ElapsedMs : _report.DurationMs, Phases = [.. _phases] };
            }
        }
    }

    private double ElapsedMs => Math.Round(time.GetElapsedTime(_started).TotalMilliseconds, 1);

    public bool IsToken(string? token)
    {
        Span<byte> given = stackalloc byte[_token.Length];
        return token?.Length == 2 * _token.Length
            && Convert.FromHexString(token, given, out _, out _) == System.Buffers.OperationStatus.Done
            && CryptographicOperations.FixedTimeEquals(given, _token);
    }

    public void Passed(HandoffPhase phase, TimeSpan took)
    {
        lock (_sync)
        {
            _phases.Add(new(phase, Math.Round(took.TotalMilliseconds, 1)));
        }
    }

    public void Update(Func<HandoffReport, HandoffReport> change)
    {
        lock (_sync)
        {
            _report = change(_report);
        }
    }

    public HandoffReport End(HandoffOutcome outcome, Func<HandoffReport, HandoffReport> change)
    {
        Update(report => change(report) with { Outcome = outcome, DurationMs = ElapsedMs });
        return Report;
    }
}
