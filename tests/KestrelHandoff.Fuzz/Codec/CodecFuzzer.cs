using System.Collections.Concurrent;
using System.Diagnostics;
using CsCheck;

namespace KestrelHandoff.Fuzz.Codec;

/// <summary>Makes inputs and checks them, as many as there shall be.</summary>
internal static class CodecFuzzer
{
    private static readonly Gen<byte[]> Input = Gen.Frequency((7, Frames.Spoilt), (1, Frames.Misjudged));

    public static async Task<string> RunAsync(FuzzSettings settings, CancellationToken cancel)
    {
        var corpus = Resources.Corpus("codec");
        foreach (var line in corpus)
        {
            Check(Convert.FromHexString(line), "From the corpus");
        }

        var outcomes = new ConcurrentDictionary<string, long>();
        var clock = Stopwatch.StartNew();
        await Workers.RunAsync(
            0,
            settings.Count,
            settings.Threads,
            number =>
            {
                var input = Input.Generate(new PCG(number, settings.Seed), null, out _);
                outcomes.AddOrUpdate(Check(input, $"Seed {settings.Seed}, input {number}"), 1, (_, count) => count + 1);
            },
            cancel);
        var seconds = Math.Max(clock.Elapsed.TotalSeconds, 0.001);
        return $"codec: {settings.Count} inputs of seed {settings.Seed} and {corpus.Length} of the corpus in {seconds:0.0} s ({settings.Count / seconds:0}/s): "
            + $"{string.Join(", ", outcomes.OrderBy(outcome => outcome.Key).Select(outcome => $"{outcome.Value} {outcome.Key}"))}. Nothing found.";
    }

    private static string Check(byte[] input, string where)
    {
        try
        {
            return CodecCheck.Check(input);
        }
        catch (FuzzFailure e)
        {
            throw new FuzzFailure($"{e.Message}\n{where}. The line for Corpus/codec.txt:\n{Convert.ToHexString(input)}");
        }
    }
}
