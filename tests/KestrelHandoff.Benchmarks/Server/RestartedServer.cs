using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using KestrelHandoff.TestSupport;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>How one kind of server is started, and how it is restarted under load.</summary>
/// <param name="Name">Stands in the table.</param>
/// <param name="Command">Starts it, given a port and a directory for its files; run by sh.</param>
/// <param name="RestartCommand">The same, to restart it; exits when that has been done.</param>
internal sealed record ServerKind(string Name, Func<int, string, string> Command, Func<int, string, string> RestartCommand)
{
    /// <summary>Of the handoff: what the load asks for, as an app would set it, and a probation short enough that connections move while it is measured.</summary>
    private const string Options = "--SocketHandoff:Probation 00:00:02 --SocketHandoff:ProbePaths:0 / --SocketHandoff:ProbePaths:1 '/slow?ms=1'";

    public static ServerKind Handoff(string name, string app) => new(
        name,
        (port, _) => $"exec {app} --urls http://127.0.0.1:{port} {Options}",
        (port, _) => $"exec curl --silent --show-error --fail-with-body --output /dev/null --request POST http://127.0.0.1:{port}/admin/handoff");

    public static ServerKind StopThenStart(string app)
    {
        return new("stop, then start (stock Kestrel, the same app)", Start, (port, directory) =>
            $"kill $(cat {directory}/pid); while [ -e /proc/$(cat {directory}/pid)/exe ]; do sleep 0.01; done; sh -c '{Start(port, directory)}' &");

        string Start(int port, string directory) => $"echo $$ > {directory}/pid; exec {app} --stock true --urls http://127.0.0.1:{port}";
    }

    public static ServerKind Tableflip(string program) => new(
        "tableflip (Go)",
        (port, directory) => $"exec {program} {port} {directory}/pid",
        (_, directory) => $"old=$(cat {directory}/pid); kill -HUP $old; while [ $(cat {directory}/pid) = $old ]; do sleep 0.1; done");
}

/// <summary>A server under restarts, with all the processes that come of it.</summary>
internal sealed class RestartedServer : IDisposable
{
    private const string MarkVariable = "GAP_BENCHMARK"; // inherited by every process that comes of it
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StartLook = TimeSpan.FromMilliseconds(50);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("gap-");
    private readonly ServerKind _kind;

    private RestartedServer(ServerKind kind) => _kind = kind;

    public int Port { get; private set; }

    /// <summary>The demo app, in Release, as a command.</summary>
    public static string DemoApp { get; } =
        $"{Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet"} {typeof(RestartedServer).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "DemoAssembly").Value}";

    public string RestartCommand => $"cd {WorkDirectory}; exec >>{Log} 2>&1; {_kind.RestartCommand(Port, _directory.FullName)}";

    private string Log => Path.Combine(_directory.FullName, "log");

    /// <summary>Nothing is written here: a file that changes wakes what watches the configuration.</summary>
    private string WorkDirectory => Path.Combine(_directory.FullName, "work");

    /// <exception cref="InvalidOperationException">It does not listen.</exception>
    public static async Task<RestartedServer> StartAsync(ServerKind kind, CancellationToken cancel)
    {
        var server = new RestartedServer(kind) { Port = FreePort.Next() };
        try
        {
            server.Run();
            await server.WhenListeningAsync(cancel);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>What this process starts ends with the server.</summary>
    public void Mark(ProcessStartInfo start) => start.Environment[MarkVariable] = _directory.FullName;

    public Task<string> ReadLogAsync(CancellationToken cancel) => File.ReadAllTextAsync(Log, cancel);

    public void Dispose()
    {
        while (KillAll()) // again, until none was there: one may have started another meanwhile
        {
        }

        _directory.Delete(recursive: true);
    }

    private void Run()
    {
        var start = new ProcessStartInfo("sh", ["-c", $"exec >{Log} 2>&1; {_kind.Command(Port, _directory.FullName)}"])
        {
            WorkingDirectory = Directory.CreateDirectory(WorkDirectory).FullName,
        };
        Mark(start);
        using var process = Process.Start(start);
    }

    private async Task WhenListeningAsync(CancellationToken cancel)
    {
        for (var waited = TimeSpan.Zero; waited < StartTimeout; waited += StartLook)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, Port, cancel);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(StartLook, cancel);
            }
        }

        throw new InvalidOperationException($"{_kind.Name} does not listen:\n{await ReadLogAsync(cancel)}");
    }

    private bool KillAll()
    {
        var living = MarkedProcesses.Living(MarkVariable, _directory.FullName);
        foreach (var id in living)
        {
            try
            {
                using var process = Process.GetProcessById(id);
                process.Kill();
            }
            catch (ArgumentException)
            {
                // gone meanwhile
            }
        }

        return living is not [];
    }
}
