using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Interop;
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
    private const int DescriptorsOfLaunch = 64; // sockets, pipes, and threads that start

    private static readonly TimeSpan LastBreath = TimeSpan.FromSeconds(5);

    /// <summary>See <see cref="LaunchPlan.FindBuild"/>.</summary>
    public string? FindBuild() => LaunchPlan.FindBuild(startedAs, options.Value);

    /// <param name="handoff">Gets the process.</param>
    /// <param name="greet">Takes successors that connect to the control socket.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="HandoffException">It could not be started, or said nothing in time.</exception>
    /// <exception cref="EndOfStreamException">It exited.</exception>
    public async Task<Greeting> LaunchAsync(Handoff handoff, Func<Greeting, Task> greet, CancellationToken cancellationToken)
    {
        if (!Libc.HasFreeDescriptors(DescriptorsOfLaunch))
        {
            // Before the last ones are taken from clients, and from the runtime, which does not outlive a pool thread that cannot start.
            throw new HandoffException(
                HandoffFailure.LaunchFailed,
                $"Too many open files: a launch takes up to {DescriptorsOfLaunch} descriptors for a moment, and fewer of the {Libc.DescriptorLimit()} that process {Environment.ProcessId} may have "
                + "are free. Raise the limit (RLIMIT_NOFILE, ulimit -n), or hand over when fewer connections are open.");
        }

        if (control.Path is null)
        {
            control.Start(ControlSocket.Bind(PrivateSocket.NewPath()), greet);
        }

        cancellationToken.ThrowIfCancellationRequested();
        var process = handoff.Process = await StartupPriority.RunLoweredAsync(
            priority => SuccessorProcess.Start(LaunchPlan.Make(startedAs, options.Value), control.Path!, handoff.Token, priority));
        Log.Launched(logger, handoff.Id, process.ProcessId, process.Program);

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

    /// <summary>After a failure: nobody else is awaited.</summary>
    public async Task CloseAsync(Handoff handoff)
    {
        handoff.Greeted.TrySetCanceled(CancellationToken.None); // a Hello that comes now is refused
        if (control.Path != options.Value.ControlSocketPath)
        {
            await control.DisposeAsync(); // the private socket of this handoff
        }
    }

    /// <summary>After a failure: tells the successor why it is over, and sees to it that none of ours is left.</summary>
    /// <param name="handoff">The handoff that failed.</param>
    /// <param name="reason">What it failed of.</param>
    /// <returns>Its exit code, if it ended by itself; null if it had to be killed, or was not launched here.</returns>
    public async Task<int?> EndAsync(Handoff handoff, Exception reason)
    {
        var greeting = handoff.Successor ?? (handoff.Greeted.Task.IsCompletedSuccessfully ? await handoff.Greeted.Task : null);
        if (greeting is not null)
        {
            await greeting.Channel.RefuseAsync(reason, deadlines);
            greeting.Channel.Dispose();
        }

        return await EndProcessAsync(handoff, PeerGone.Is(reason));
    }

    /// <summary>This host stops, and somebody has started the successor to take over: without a word it goes on by itself, with the listeners it has.</summary>
    public async Task LeaveToAsync(Greeting successor)
    {
        await control.DisposeAsync(); // first: the successor looks whether somebody still answers there
        successor.Channel.Dispose();
    }

    /// <summary>Sees to it that a launched successor is gone.</summary>
    /// <param name="handoff">Has its process.</param>
    /// <param name="mayEndByItself">It is on its way out: it is given the time.</param>
    /// <returns>Its exit code, if it ended by itself; null if it was killed, or even that did not end it, or it was not launched here.</returns>
    public async Task<int?> EndProcessAsync(Handoff handoff, bool mayEndByItself)
    {
        using var process = handoff.Process;
        if (process is null)
        {
            return null;
        }

        using var patience = new CancellationTokenSource(mayEndByItself ? LastBreath : TimeSpan.Zero, time);
        try
        {
            return await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            await KillAsync(handoff, process);
            return null;
        }
    }

    /// <summary>Even SIGKILL waits for a call into a file system that does not answer: no longer than this.</summary>
    private async Task KillAsync(Handoff handoff, SuccessorProcess process)
    {
        using var patience = new CancellationTokenSource(LastBreath, time);
        try
        {
            if (process.TryKill())
            {
                await process.WaitForExitAsync(patience.Token);
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // it is not gone
        }

        Log.NotKilled(logger, handoff.Id, process.ProcessId);
    }
}
