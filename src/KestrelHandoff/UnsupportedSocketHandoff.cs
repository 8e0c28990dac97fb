using KestrelHandoff.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff;

/// <summary>Where descriptors cannot be passed: the app runs as it would without the package.</summary>
internal sealed class UnsupportedSocketHandoff(TimeProvider time, ILogger<UnsupportedSocketHandoff> logger) : ISocketHandoff, IHostedService
{
    private readonly DateTimeOffset _started = time.GetUtcNow();

    public int Generation => 1;

    public HandoffPhase Phase => HandoffPhase.Serving;

    public Task Activated => Task.CompletedTask;

    public CancellationToken Retiring => CancellationToken.None;

    public Task<HandoffReport> HandOffAsync(bool force = false, CancellationToken cancellationToken = default) => Task.FromException<HandoffReport>(
        new HandoffException(HandoffFailure.NotPossible, "Sockets can only be handed off on Linux."));

    public HandoffStatus GetStatus() => new() { ProcessId = Environment.ProcessId, Generation = Generation, Phase = Phase, Since = _started };

    public Task StartAsync(CancellationToken cancellationToken)
    {
        HttpLog.Unsupported(logger);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
