using System.Diagnostics;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>A process that serves the measured app, once for each transport it was asked for.</summary>
internal sealed class ServerProcess : IDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly List<ServedApp> _apps = [];

    private ServerProcess(Process process) => _process = process;

    /// <summary>In the order of the transports.</summary>
    public IReadOnlyList<ServedApp> Apps => _apps;

    /// <exception cref="InvalidOperationException">It did not come to listen; what it said stands on standard error.</exception>
    public static async Task<ServerProcess> StartAsync(CancellationToken cancel, params TransportKind[] transports)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [typeof(ServerProcess).Assembly.Location, "serve", .. transports.Select(transport => $"{transport}")])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true, // its end is the server's end, however this process dies
        };
        var server = new ServerProcess(Process.Start(start)!);
        try
        {
            foreach (var _ in transports)
            {
                await server.AddAppAsync(cancel);
            }

            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _process.Kill(); // nothing of it is needed any more
        _process.WaitForExit();
        _apps.ForEach(app => app.Dispose());
        _process.Dispose();
    }

    private async Task AddAppAsync(CancellationToken cancel)
    {
        var line = await _process.StandardOutput.ReadLineAsync(cancel).AsTask().WaitAsync(StartTimeout, cancel);
        if (line is null || !line.StartsWith(BenchmarkServer.Ready, StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"The server did not start: {line ?? "it ended"}");
        }

        _apps.Add(new ServedApp(line[BenchmarkServer.Ready.Length..], _process));
    }
}
