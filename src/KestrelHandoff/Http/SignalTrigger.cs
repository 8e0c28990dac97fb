using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Http;

/// <summary>SIGUSR2 asks for a handoff, as POST does; the outcome is in the log.</summary>
internal sealed class SignalTrigger(ISocketHandoff handoff, ILogger<SignalTrigger> logger) : IHostedService, IDisposable
{
    /// <summary>SIGUSR2 on Linux x64 and arm64, signal(7); a raw number is what PosixSignal takes for signals it has no name for.</summary>
    private const PosixSignal SigUsr2 = (PosixSignal)12;

    private PosixSignalRegistration? _registration;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _registration = PosixSignalRegistration.Create(SigUsr2, context =>
        {
            context.Cancel = true; // or the runtime goes on to the default, which is to die
            _ = HandOffAsync();
        });
        return Task.CompletedTask;
    }

    private async Task HandOffAsync()
    {
        try
        {
            await handoff.HandOffAsync();
        }
        catch (HandoffException e) when (e.Report is not null)
        {
            // it began, and its failure is in the log
        }
        catch (HandoffException e)
        {
            HttpLog.SignalRefused(logger, e.Message);
        }
        catch (Exception e)
        {
            HttpLog.SignalFailed(logger, e);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _registration?.Dispose();
}
