using System.Diagnostics;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>A fresh directory for one test, and every process that was started for it, whoever started it.</summary>
internal sealed class TestDirectory : IAsyncDisposable
{
    /// <summary>Names the test's directory in each of its processes, so that none is left behind.</summary>
    public const string Variable = "TESTAPP_DIRECTORY";

    private readonly string _faultFile;
    private readonly List<AppProcess> _apps = [];

    public TestDirectory()
    {
        Path = Directory.CreateTempSubdirectory("kh-").FullName;
        _faultFile = System.IO.Path.Combine(Directory.CreateDirectory(File("fault")).FullName, "mode");
        SetFault("");
    }

    public string Path { get; }

    public string ControlPath => File("control/s");

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>What successors do from now on; "" for nothing, which also releases those that hang.</summary>
    public void SetFault(string mode)
    {
        var unfinished = File("mode");
        System.IO.File.WriteAllText(unfinished, mode);
        System.IO.File.Move(unfinished, _faultFile, overwrite: true);
    }

    /// <summary>Starts the test app; without arguments on a free port of the loopback.</summary>
    public AppProcess Start(params string[] arguments) => Start(new AppSettings { Arguments = arguments });

    public AppProcess Start(AppSettings settings)
    {
        string[] arguments = settings.Arguments is [] ? ["--Kestrel:Endpoints:Main:Url=http://127.0.0.1:0"] : [.. settings.Arguments];
        var start = new ProcessStartInfo(settings.Program[0], [.. settings.Program.Skip(1), .. arguments])
        {
            WorkingDirectory = settings.WorkingDirectory ?? Path,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                [Variable] = Path,
                ["TESTAPP_FAULT_FILE"] = _faultFile,
                ["DOTNET_TieredPGO"] = "0",
                ["Logging__LogLevel__Microsoft.AspNetCore"] = "Warning",
                ["SocketHandoff__Probation"] = "00:00:00",
                ["SocketHandoff__WarmUpRequests"] = "20",

                // No test is about how fast this machine is; those about a limit set it.
                ["SocketHandoff__LaunchTimeout"] = "00:02:00",
                ["SocketHandoff__ReadyTimeout"] = "00:02:00",
                ["SocketHandoff__ExchangeTimeout"] = "00:01:00",
                ["SocketHandoff__ProbeTimeout"] = "00:01:00",
                ["SocketHandoff__WarmUpTimeLimit"] = "00:01:00",
                ["SocketHandoff__CommitTimeout"] = "00:01:00",
            },
        };
        foreach (var (name, value) in settings.Environment)
        {
            start.Environment[name] = value;
        }

        var app = new AppProcess(Process.Start(start)!);
        _apps.Add(app);
        return app;
    }

    /// <summary>Starts the test app and waits until it serves.</summary>
    public async Task<AppProcess> ServeAsync(params string[] arguments)
    {
        var app = Start(arguments);
        await app.ServingAsync(1);
        return app;
    }

    /// <summary>The same under TLS, where connections cannot move, with a client of it.</summary>
    public async Task<(AppProcess App, HttpClient Client)> ServeTlsAsync(params string[] more)
    {
        var app = await ServeAsync([.. more, "--Kestrel:Endpoints:Main:Url=https://127.0.0.1:0", $"--Kestrel:Certificates:Default:Path={TestCertificate.Create(this, "localhost")}"]);
        return (app, TestClients.Http2((await app.Output.HeardAsync("serving ")).Split(' ')[3]));
    }

    /// <summary>The test's living processes.</summary>
    public IReadOnlyList<int> Processes() => MarkedProcesses.Living(Variable, Path);

    public async ValueTask DisposeAsync()
    {
        while (Processes() is { Count: > 0 } left)
        {
            foreach (var process in left)
            {
                TestLibc.Kill(process, TestLibc.SigKill);
            }

            await Task.WhenAll(left.Select(TestLibc.WaitForExitAsync)).OrHang();
        }

        foreach (var app in _apps)
        {
            await app.CloseAsync();
        }

        Directory.Delete(Path, recursive: true);
    }
}

/// <summary>How to start the test app.</summary>
internal sealed record AppSettings
{
    public IReadOnlyList<string> Arguments { get; init; } = [];

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>What runs the test app: a program and its arguments before the app's.</summary>
    public IReadOnlyList<string> Program { get; init; } = [TestApp.Program];

    public string? WorkingDirectory { get; init; }
}
