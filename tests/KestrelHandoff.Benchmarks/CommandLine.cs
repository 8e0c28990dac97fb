using System.CommandLine;
using KestrelHandoff.Benchmarks.Server;

namespace KestrelHandoff.Benchmarks;

/// <summary>The commands, their options and ranges.</summary>
internal static class CommandLine
{
    private static readonly Option<int> Pairs = Number("--pairs", 7, 1, 1000, "Pairs of processes for every scenario; each process serves on both transports, and in each pair each is started first once.");
    private static readonly Option<int> Seconds = Number("--seconds", 6, 1, 3600, "Runs of a second on each transport in each process, in turns.");
    private static readonly Option<int> Connections = Number("--connections", 2000, 1, 20_000, "Idle connections to hold.");
    private static readonly Option<int> Restarts = Number("--restarts", 12, 1, 1000, "Restarts of each server.");
    private static readonly Option<int> Window = Number("--window", 6, 1, 60, "Seconds from the request for a restart in which the gap is looked for, and the restart is over; a slow machine takes more.");
    private static readonly Option<string?> NativeApp = ExistingFile("--native", "Also HandoffDemo compiled ahead, this file (dotnet publish samples/HandoffDemo -p:PublishAot=true).");
    private static readonly Option<string?> Tableflip = ExistingFile("--tableflip", "Also a Go server that restarts with tableflip, this file (go build in Peers/tableflip).");
    private static readonly Option<string?> Json = new("--json") { Description = "Also writes all figures to this file, each run of each pair.", HelpName = "FILE" };
    private static readonly Argument<TransportKind[]> Transports = new("transports") { Description = "One app for each.", Arity = ArgumentArity.OneOrMore };

    public static RootCommand Create(Func<BenchmarkSettings, CancellationToken, Task<int>> run)
    {
        var serve = new Command("serve", "The measured app; it ends with its standard input.") { Transports };
        serve.SetAction((result, cancel) => BenchmarkServer.RunAsync(result.GetValue(Transports)!, cancel));
        return new RootCommand("One app on this library's transport and on Kestrel's own, side by side: what the library costs.")
        {
            Measuring("throughput", "Requests a second and p99 latency, with wrk.", [Pairs, Seconds, Json], new() { Throughput = true }),
            Measuring("allocations", "Bytes allocated for a request.", [Json], new() { Allocations = true }),
            Measuring("memory", "Bytes held by an idle connection.", [Connections, Json], new() { Memory = true }),
            Measuring("gap", "The longest gap in answers around a restart, and around stop-then-start.", [Restarts, Window, NativeApp, Tableflip, Json], new() { Gap = true }),
            Measuring("all", "Throughput, allocations and memory.", [Pairs, Seconds, Connections, Json], new() { Throughput = true, Allocations = true, Memory = true }),
            serve,
        };

        Command Measuring(string name, string description, Option[] options, BenchmarkSettings what)
        {
            var command = new Command(name, description);
            Array.ForEach(options, command.Options.Add);
            command.SetAction((result, cancel) => run(
                what with
                {
                    Pairs = result.GetValue(Pairs),
                    Seconds = result.GetValue(Seconds),
                    Connections = result.GetValue(Connections),
                    Restarts = result.GetValue(Restarts),
                    Window = result.GetValue(Window),
                    NativeApp = result.GetValue(NativeApp),
                    Tableflip = result.GetValue(Tableflip),
                    Json = result.GetValue(Json),
                },
                cancel));
            return command;
        }
    }

    private static Option<string?> ExistingFile(string name, string description)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "FILE", CustomParser = result => Path.GetFullPath(result.Tokens[0].Value) };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !File.Exists(result.Tokens[0].Value))
            {
                result.AddError($"{name}: there is no file '{result.Tokens[0].Value}'.");
            }
        });
        return option;
    }

    private static Option<int> Number(string name, int byDefault, int min, int max, string description)
    {
        var option = new Option<int>(name) { Description = $"{description} ({min} to {max})", DefaultValueFactory = _ => byDefault, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && int.TryParse(result.Tokens[0].Value, out var value) && (value < min || value > max))
            {
                result.AddError($"{name} must be from {min} to {max}, but is {value}.");
            }
        });
        return option;
    }
}
