using System.CommandLine;
using KestrelHandoff.Fuzz.Channel;
using KestrelHandoff.Fuzz.Codec;

namespace KestrelHandoff.Fuzz;

/// <summary>The commands, their options and ranges.</summary>
internal static class CommandLine
{
    private const long MaxCount = 4_000_000_000; // what a stream number of the generator holds

    private static readonly Option<long> Inputs = Number("--inputs", 1_000_000, 0, MaxCount, "Inputs to decode.");
    private static readonly Option<long> Sessions = Number("--sessions", 10_000, 0, MaxCount, "Sessions to play.");
    private static readonly Option<long> Seed = Number("--seed", 1, 0, long.MaxValue, "What the inputs are made from.");
    private static readonly Option<long> Threads = Number("--threads", 2, 1, 64, "Threads that make inputs.");

    public static RootCommand Create(
        Func<Func<FuzzSettings, CancellationToken, Task<string>>, FuzzSettings, CancellationToken, Task<int>> run)
    {
        return new RootCommand("Sends what no peer should send. What once failed (Corpus) comes first. Exits with 1 when something is found.")
        {
            Fuzzing("codec", "Bytes into the codec: a message or a refusal, and nothing else.", Inputs, CodecFuzzer.RunAsync),
            Fuzzing("channel", "Sessions with a control server, over real sockets and with descriptors.", Sessions, ChannelFuzzer.RunAsync),
        };

        Command Fuzzing(string name, string description, Option<long> count, Func<FuzzSettings, CancellationToken, Task<string>> fuzz)
        {
            var command = new Command(name, description) { count, Seed, Threads };
            command.SetAction((result, cancel) => run(
                fuzz, new(result.GetValue(count), (ulong)result.GetValue(Seed), (int)result.GetValue(Threads)), cancel));
            return command;
        }
    }

    private static Option<long> Number(string name, long byDefault, long min, long max, string description)
    {
        var option = new Option<long>(name) { Description = $"{description} ({min} to {max})", DefaultValueFactory = _ => byDefault, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && long.TryParse(result.Tokens[0].Value, out var value) && (value < min || value > max))
            {
                result.AddError($"{name} must be from {min} to {max}, but is {value}.");
            }
        });
        return option;
    }
}
