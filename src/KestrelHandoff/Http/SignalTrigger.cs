using System.Runtime.InteropServices;
using KestrelHandoff.Transport;
using Microsoft.Extensions.Hosting;

namespace KestrelHandoff.Http;

/// <summary>SIGUSR2 asks for a handoff, as POST does; the outcome is in the log.</summary>
internal sealed class SignalTrigger(ISocketHandoff handoff) : IHostedService, IDisposable
{
    /// <summary>SIGUSR2 on Linux x64 and arm64, signal(7); a raw number is what PosixSignal takes for signals it has no name for.</summary>
    private const PosixSignal SigUsr2 = (PosixSignal)12;

    private PosixSignalRegistration? _registration;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _registration = PosixSignalRegistration.Create(SigUsr2, context =>
        {
            context.Cancel = true; // or the runtime goes on to the default, which is to die
            _ = handoff.HandOffAsync(CancellationToken.None).ContinueWith(
                static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        });
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _registration?.Dispose();
}
