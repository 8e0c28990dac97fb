namespace KestrelHandoff;

/// <summary>The handoff of this instance: start one from code, see how it stands.</summary>
public interface ISocketHandoff
{
    /// <summary>1 for an instance that started without a predecessor, one more for each successor.</summary>
    int Generation { get; }

    /// <summary>Where this instance stands.</summary>
    HandoffPhase Phase { get; }

    /// <summary>Completes when this instance serves: when the app has started in a first instance, at the commit in a successor.</summary>
    /// <remarks>
    /// Never to be awaited in <c>IHostedService.StartAsync</c>, before whose end no app has started: await it in <c>BackgroundService.ExecuteAsync</c>.
    /// Work in the background (timers, queue consumers) waits for it, and ends at <see cref="Retiring"/>. From the commit to the end of the
    /// probation both instances may do it.
    /// </remarks>
    Task Activated { get; }

    /// <summary>Cancelled when another instance has taken over and this one begins to drain.</summary>
    /// <remarks>That is a successor, or after a roll-back the predecessor. It is not cancelled when the host is just stopped.</remarks>
    CancellationToken Retiring { get; }

    /// <summary>Launches a successor of this instance and hands the listeners over to it.</summary>
    /// <param name="force">
    /// Also to a build that has failed <see cref="SocketHandoffOptions.MaxFailures"/> times, while
    /// <see cref="SocketHandoffOptions.MaxDraining"/> earlier instances drain, and out of the main process of a systemd unit.
    /// The default is <see langword="false"/>.
    /// </param>
    /// <param name="cancellationToken">Ends the waiting, not the handoff.</param>
    /// <returns>The report, when the successor serves and this instance has begun to drain.</returns>
    /// <exception cref="HandoffException">The handoff failed or was refused.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled; the handoff goes on.</exception>
    Task<HandoffReport> HandOffAsync(bool force = false, CancellationToken cancellationToken = default);

    /// <summary>A snapshot of this instance and of its last or current handoff.</summary>
    HandoffStatus GetStatus();
}
