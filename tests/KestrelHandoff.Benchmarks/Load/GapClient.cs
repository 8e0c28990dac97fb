using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace KestrelHandoff.Benchmarks.Load;

/// <summary>What clients noticed of one restart.</summary>
internal sealed record Restart
{
    /// <summary>The longest time in which no client got an answer.</summary>
    public required double GapMs { get; init; }

    /// <summary>Of the answers to keep-alive and new connections.</summary>
    public required double P999Ms { get; init; }

    /// <summary>The same while nothing was restarted.</summary>
    public required double GapBeforeMs { get; init; }

    public required double P999BeforeMs { get; init; }

    /// <summary>Requests on an open connection that had no answer.</summary>
    public required int Lost { get; init; }

    public required int Refused { get; init; }

    public required int Reset { get; init; }

    /// <summary>Kept-alive connections that ended with nothing asked.</summary>
    public required int Closed { get; init; }

    /// <summary>Idle connections, of <see cref="GapClient.Idle"/>, that were answered afterwards.</summary>
    public required int Survivors { get; init; }

    /// <summary>How long the client or a processor was not run, which is taken off.</summary>
    public required double StalledMs { get; init; }
}

/// <summary>The load client of gap.c, compiled where it is needed.</summary>
internal sealed class GapClient : IDisposable
{
    public const int Idle = 200;

    private const int BeforeMs = 2500;
    private const int AfterMs = 5500;

    private static readonly JsonSerializerOptions JsonOptions = new(JsonSerializerDefaults.Web);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("gap-");

    private string Program => Path.Combine(_directory.FullName, "gap");

    /// <exception cref="InvalidOperationException">There is no C compiler, or it fails.</exception>
    public async Task CompileAsync(CancellationToken cancel)
    {
        try
        {
            using var compiler = Process.Start("cc", ["-O2", "-o", Program, Path.Combine(AppContext.BaseDirectory, "Load", "gap.c"), "-lpthread"]);
            await compiler.WaitForExitAsync(cancel);
            if (compiler.ExitCode != 0)
            {
                throw new InvalidOperationException("cc could not compile Load/gap.c.");
            }
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("The gap is measured with a client in C, and there is no compiler: apt-get install gcc libc6-dev", e);
        }
    }

    /// <param name="port">Where the server listens.</param>
    /// <param name="command">Restarts it; run by sh.</param>
    /// <param name="cancel">Ends the client.</param>
    public async Task<Restart> RunAsync(int port, string command, CancellationToken cancel)
    {
        using var client = Process.Start(new ProcessStartInfo(Program, [$"{port}", $"{BeforeMs}", $"{AfterMs}", command]) { RedirectStandardOutput = true })!;
        try
        {
            return await client.StandardOutput.ReadLineAsync(cancel) is { } line
                ? JsonSerializer.Deserialize<Restart>(line, JsonOptions)!
                : throw new InvalidOperationException("The load client ended without a figure: it raises its priority, which takes root or CAP_SYS_NICE.");
        }
        catch (OperationCanceledException)
        {
            client.Kill();
            throw;
        }
    }

    public void Dispose() => _directory.Delete(recursive: true);
}
