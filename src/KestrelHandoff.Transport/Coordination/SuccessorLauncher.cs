using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Launch;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>Launches a successor and waits for its first word; ends it if the handoff fails.</summary>
internal sealed class SuccessorLauncher(
    IOptions<SocketHandoffOptions> options,
    StartedAs startedAs,
    InstanceState state,
    ControlServer control,
    Deadlines deadlines,
    TimeProvider time,
    ILogger<SuccessorLauncher> logger)
{
    private static readonly TimeSpan LastBreath = TimeSpan.FromSeconds(5);

    /// <param name="handoff">Gets the process.</param>
    /// <param name="greet">Takes successors that connect to the control socket.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="HandoffException">It could not be started, or said nothing in time.</exception>
    /// <exception cref="EndOfStreamException">It exited.</exception>
    public async Task<Greeting> LaunchAsync(Handoff handoff, Func<Greeting, Task> greet, CancellationToken cancellationToken)
    {
        var plan = LaunchPlan.Make(startedAs, options.Value);
        if (control.Path is null)
        {
            control.Start(ControlSocket.Bind(PrivateSocket.NewPath()), greet);
        }

        var process = handoff.Process = SuccessorProcess.Start(plan, control.Path!, handoff.Token);
        Log.Launched(logger, handoff.Id, process.ProcessId, plan.Executable);

        using var watch = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken); // ended when either task has
        var exited = process.WaitForExitAsync(watch.Token);
        var greeted = deadlines.RunAsync(
            HandoffStep.Launch, $"The first word of the successor, process {process.ProcessId},", token => handoff.Greeted.Task.WaitAsync(token), watch.Token);
        var first = await Task.WhenAny(greeted, exited);
        await watch.CancelAsync();
        if (first == exited)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new EndOfStreamException("The successor exited before it had introduced itself.");
        }

        var greeting = await greeted;
        state.Move(HandoffSignal.SuccessorConnected);
        return greeting;
    }

    /// <summary>After a failure: sees to it that no successor of ours is left.</summary>
    /// <returns>Its exit code, if it ended by itself; null if it had to be killed, or was not launched here.</returns>
    public async Task<int?> EndAsync(Handoff handoff, bool awaitExit)
    {
        if (options.Value.ControlSocketPath is null)
        {
            await control.DisposeAsync(); // the private socket of this handoff
        }

        using var process = handoff.Process;
        if (process is null)
        {
            return null;
        }

        using var patience = new CancellationTokenSource(awaitExit ? LastBreath : TimeSpan.Zero, time);
        try
        {
            return await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            return null;
        }
    }
}
