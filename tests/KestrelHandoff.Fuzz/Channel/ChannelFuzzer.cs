using System.Diagnostics;
using CsCheck;

namespace KestrelHandoff.Fuzz.Channel;

/// <summary>Plays sessions against one server, and looks now and then at what they have left behind.</summary>
internal static class ChannelFuzzer
{
    private const int Between = 1000;

    public static async Task<string> RunAsync(FuzzSettings settings, CancellationToken cancel)
    {
        Exception? unobserved = null;
        TaskScheduler.UnobservedTaskException += (_, e) => unobserved ??= e.Exception; // the server's own tasks, of which nobody takes the result

        await using var server = new FuzzedServer();
        using var client = new FuzzClient(server.Path);
        client.Play(Sessions.Good);
        var burden = new Burden();
        var corpus = Resources.Corpus("channel");
        foreach (var line in corpus)
        {
            Play(client, Session.Parse(line), "From the corpus");
        }

        var clock = Stopwatch.StartNew();
        for (long first = 0; first < settings.Count; first += Between)
        {
            var count = Math.Min(Between, settings.Count - first);
            await Workers.RunAsync(
                first,
                count,
                settings.Threads,
                number => Play(client, Sessions.Any.Generate(new PCG(number, settings.Seed), null, out _), $"Seed {settings.Seed}, session {number}"),
                cancel);
            try
            {
                client.Play(Sessions.Good);
                await burden.CheckAsync(cancel);
                if ((server.Fault ?? unobserved) is { } fault)
                {
                    throw new FuzzFailure($"The server threw what it must not: {fault}");
                }
            }
            catch (FuzzFailure e)
            {
                throw new FuzzFailure($"{e.Message}\nSeed {settings.Seed}, after the sessions {first} to {first + count - 1}.");
            }
        }

        var seconds = Math.Max(clock.Elapsed.TotalSeconds, 0.001);
        return $"channel: {settings.Count} sessions of seed {settings.Seed} and {corpus.Length} of the corpus in {seconds:0.0} s ({settings.Count / seconds:0}/s). "
            + $"Left behind at most: {burden.Most.Descriptors} descriptors, {burden.Most.Bytes / 1024} KiB. Nothing found.";
    }

    private static void Play(FuzzClient client, Session session, string where)
    {
        try
        {
            client.Play(session);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new FuzzFailure($"{(e is FuzzFailure ? e.Message : e)}\n{where}. The line for Corpus/channel.txt:\n{session}");
        }
    }
}
