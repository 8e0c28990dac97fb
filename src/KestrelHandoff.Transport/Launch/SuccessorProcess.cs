using System.ComponentModel;
using System.Diagnostics;

namespace KestrelHandoff.Transport.Launch;

/// <summary>A launched successor: its process, and what it wrote so far.</summary>
internal sealed class SuccessorProcess : IDisposable
{
    private static readonly TimeSpan LastOutput = TimeSpan.FromSeconds(1);

    private readonly Process _process;
    private readonly StartupOutput _output = new();
    private readonly CancellationTokenSource _isOver = new();
    private readonly Task _copied;

    private SuccessorProcess(Process process, string program, Stream output, Stream error)
    {
        (_process, Program) = (process, program);
        ProcessId = process.Id; // the process object forgets it when it is disposed
        _copied = Task.WhenAll(
            _output.CopyAsync(process.StandardOutput.BaseStream, output, _isOver.Token),
            _output.CopyAsync(process.StandardError.BaseStream, error, _isOver.Token));
    }

    public int ProcessId { get; }

    public string Program { get; }

    public string Output => _output.ToString();

    /// <exception cref="HandoffException">The program cannot be run.</exception>
    public static SuccessorProcess Start(LaunchPlan plan, string controlPath, string token, string? priority)
    {
        var start = new ProcessStartInfo(plan.Executable, plan.Arguments)
        {
            WorkingDirectory = plan.WorkingDirectory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment.Clear();
        foreach (var (name, value) in plan.Environment)
        {
            start.Environment[name] = value;
        }

        start.Environment[LaunchPlan.SocketVariable] = controlPath;
        start.Environment[LaunchPlan.TokenVariable] = token;
        start.Environment[LaunchPlan.PriorityVariable] = priority;
        Stream? output = null, error = null;
        try
        {
            // Before the process: once it runs nothing may fail that would have it forgotten.
            (output, error) = (Console.OpenStandardOutput(), Console.OpenStandardError());
            return new(Process.Start(start)!, plan.Executable, output, error);
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            output?.Dispose();
            error?.Dispose();
            throw new HandoffException(HandoffFailure.LaunchFailed, $"'{plan.Executable}' could not be started: {e.Message}", e);
        }
    }

    /// <summary>The exit code, when it has exited and all it wrote has been read.</summary>
    public async Task<int> WaitForExitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);

        // The rest of its output is in the pipe already, unless something it started holds the other end open.
        await Task.WhenAny(_copied, Task.Delay(LastOutput, TimeProvider.System, cancellationToken));
        return _process.ExitCode;
    }

    /// <summary>Ends it and what it has started.</summary>
    /// <returns>False if it may not be done: it runs as another user by now, or something it started does.</returns>
    public bool TryKill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
            return true;
        }
        catch (Exception e) when (e is Win32Exception or AggregateException or IOException)
        {
            return TryKillAlone(); // not permitted; or no descriptor is left to look for what it has started
        }
    }

    private bool TryKillAlone()
    {
        try
        {
            _process.Kill();
            return true;
        }
        catch (Win32Exception)
        {
            return _process.HasExited;
        }
    }

    /// <summary>After its end: what it has started, and has outlived it, is not listened to.</summary>
    public void Dispose()
    {
        _isOver.Cancel();
        _process.Dispose();
    }
}
