using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks.Load;

/// <summary>What clients noticed of one restart.</summary>
internal sealed record Restart
{
    /// <summary>The longest time in which no keep-alive and no new connection got an answer.</summary>
    public required double GapMs { get; init; }

    /// <summary>The same with the times in which the client or a processor was not run.</summary>
    public required double GapWithStallsMs { get; init; }

    /// <summary>Of the answers to keep-alive and new connections.</summary>
    public required double P999Ms { get; init; }

    /// <summary>The same while nothing was restarted.</summary>
    public required double GapBeforeMs { get; init; }

    public required double P999BeforeMs { get; init; }

    /// <summary>Requests that ended without an answer, other than by a reset, or with one that is not 200.</summary>
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
/// <param name="window">How many seconds it goes on after the request for a restart.</param>
internal sealed class GapClient(int window) : IDisposable
{
    public const int Idle = 200;

    private const int BeforeMs = 2500;

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

    /// <summary>Restarts the server under load.</summary>
    /// <exception cref="InvalidOperationException">The restart failed, or the client may not raise its priority: it says so on standard error.</exception>
    public async Task<Restart> RunAsync(RestartedServer server, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Program, [$"{server.Port}", $"{BeforeMs}", $"{window * 1000}", server.RestartCommand]) { RedirectStandardOutput = true };
        server.Mark(start);
        using var client = Process.Start(start)!;
        try
        {
            return await client.StandardOutput.ReadLineAsync(cancel) is { } line
                ? JsonSerializer.Deserialize<Restart>(line, JsonOptions)!
                : throw new InvalidOperationException($"No figure, for the reason above. The server said:\n{await server.ReadLogAsync(cancel)}");
        }
        catch (OperationCanceledException)
        {
            client.Kill();
            throw;
        }
    }

    public void Dispose() => _directory.Delete(recursive: true);
}
