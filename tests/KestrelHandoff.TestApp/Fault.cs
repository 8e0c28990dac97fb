using System.Globalization;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace KestrelHandoff.TestApp;

/// <summary>What goes wrong with this instance when it starts as a successor: the first word of a file that the test writes.</summary>
internal sealed class Fault(string file, string mode, string argument) : IHealthCheck, IHostedService
{
    private const int NoisyLines = 2000;

    public static Fault Read()
    {
        var isSuccessor = Environment.GetEnvironmentVariable("KESTREL_HANDOFF_TOKEN") is not null
            || Environment.GetEnvironmentVariable("TESTAPP_FAULT_ALWAYS") is not null;
        var file = Environment.GetEnvironmentVariable("TESTAPP_FAULT_FILE") ?? "";
        var words = isSuccessor && File.Exists(file) ? File.ReadAllText(file).Split(' ') : [""];
        return new Fault(file, words[0], words.ElementAtOrDefault(1) ?? "");
    }

    public void BeforeStart()
    {
        switch (mode)
        {
            case "throw":
                throw new InvalidOperationException("The test wants this start to fail.");
            case "exit":
                Console.Error.WriteLine("The test wants this process to exit.");
                Environment.Exit(int.Parse(argument, CultureInfo.InvariantCulture));
                break;
            case "noisy-exit":
                for (var line = 0; line < NoisyLines; line++)
                {
                    Console.WriteLine($"noise {line}");
                }

                Environment.Exit(1);
                break;
            case "hang-before-hello":
                HangAsync().GetAwaiter().GetResult();
                break;
        }
    }

    public void Configure(IServiceCollection services)
    {
        services.AddHealthChecks().AddCheck("fault", this, tags: ["handoff"]);
        services.AddSingleton<IHostedService>(this);
    }

    public void Configure(WebApplication app)
    {
        if (mode is "answer-500")
        {
            app.Run(context =>
            {
                context.Response.StatusCode = StatusCodes.Status500InternalServerError;
                return Task.CompletedTask;
            });
        }
        else if (mode is "exit-when-asked")
        {
            app.Run(_ =>
            {
                Environment.Exit(int.Parse(argument, CultureInfo.InvariantCulture));
                return Task.CompletedTask;
            });
        }
        else if (mode is "answer-late")
        {
            app.Run(_ => HangAsync());
        }
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        Task.FromResult((mode == "unhealthy" && !IsReleased()) || IsSick() ? HealthCheckResult.Unhealthy() : HealthCheckResult.Healthy());

    public Task StartAsync(CancellationToken cancellationToken) => mode == "hang-in-start" ? HangAsync() : Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Until the test writes another mode.</summary>
    private async Task HangAsync()
    {
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var watcher = new FileSystemWatcher(Path.GetDirectoryName(file)!);
        watcher.Created += (_, _) => Check(); // so a file that is moved in looks
        watcher.EnableRaisingEvents = true;
        Check();
        Console.WriteLine($"hangs {Environment.ProcessId}");
        await released.Task;

        void Check()
        {
            if (IsReleased())
            {
                released.TrySetResult();
            }
        }
    }

    /// <summary>Whenever the test says so, not only from the start.</summary>
    private bool IsSick() => File.Exists(file) && File.ReadAllText(file) is "sick";

    private bool IsReleased() => File.ReadAllText(file) is "";
}
