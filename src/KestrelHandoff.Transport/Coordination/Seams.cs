using System.Net;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>What the server above the transport knows of a successor's health; the transport asks before it says Ready.</summary>
internal interface IReadiness
{
    /// <summary>Returns when the app may serve.</summary>
    Task WaitAsync(CancellationToken cancellationToken);

    /// <summary>What is wrong with the app now, in words; null if it may serve.</summary>
    Task<string?> FindFaultAsync(CancellationToken cancellationToken);

    /// <summary><c>http</c> or <c>https</c>, where the server knows what it speaks at an address.</summary>
    string? SchemeOf(EndPoint endPoint);
}

/// <summary>How the server above the transport tries a successor out before the commit.</summary>
internal interface ISuccessorProbe
{
    /// <summary>Loads what a probe needs, at the start: see <see cref="HandoffLifecycle"/>.</summary>
    void LoadAhead();

    /// <exception cref="HandoffException">The successor answered wrongly.</exception>
    Task<HandoffProbe?> ProbeAsync(ProbeTarget target, CancellationToken cancellationToken);
}

/// <summary>The successor as a probe sees it.</summary>
/// <param name="Listeners">What it listens on.</param>
/// <param name="Preferred">The listener that the request for the handoff came in by, if it did.</param>
/// <param name="ConnectAsync">A new connection to the listener of that name, over a passed socketpair: no client sees it, no port is needed.</param>
internal sealed record ProbeTarget(
    IReadOnlyList<ReadyListener> Listeners, string? Preferred, Func<string, CancellationToken, Task<Stream>> ConnectAsync);
