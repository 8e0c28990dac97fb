using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Listeners;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>What the app sees of the handoff.</summary>
internal sealed class SocketHandoff(HandoffCoordinator coordinator, InstanceState state, ListenerTable listeners, ConnectionRegistry connections, Lineage lineage) : ISocketHandoff
{
    public int Generation => state.Generation;

    public HandoffPhase Phase => state.Current.Phase;

    public Task Activated => state.Activated;

    public CancellationToken Retiring => state.Retiring;

    public Task<HandoffReport> HandOffAsync(bool force = false, CancellationToken cancellationToken = default) => HandOffAsync(null, force, cancellationToken);

    /// <param name="preferredListener">The listener the request came in by.</param>
    /// <param name="force">As in <see cref="ISocketHandoff.HandOffAsync"/>.</param>
    /// <param name="cancellationToken">Ends the waiting, not the handoff.</param>
    public Task<HandoffReport> HandOffAsync(string? preferredListener, bool force, CancellationToken cancellationToken) =>
        coordinator.HandOffAsync(preferredListener, force, cancellationToken);

    public HandoffStatus GetStatus()
    {
        var (phase, since) = state.Current;
        return new()
        {
            ProcessId = Environment.ProcessId,
            Generation = state.Generation,
            Phase = phase,
            Since = since,
            Connections = connections.Count,
            Listeners = [.. listeners.Listeners.Select(listener => listener.EndPoint.ToString() ?? "")],
            LastHandoff = coordinator.LastReport,
            IsConfirmed = state.IsConfirmed,
            Draining = lineage.Draining,
            LastRetired = lineage.LastRetired,
        };
    }
}
