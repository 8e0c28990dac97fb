namespace KestrelHandoff.TestApp;

/// <summary>What this instance says on stdout about itself: the only clock of the tests.</summary>
internal static class Announcements
{
    public static void Launched() => Write($"launched {Environment.ProcessId}");

    public static void Follow(WebApplication app)
    {
        var handoff = app.Services.GetRequiredService<ISocketHandoff>();
        app.Lifetime.ApplicationStarted.Register(() => Say("started"));
        handoff.Activated.ContinueWith(_ => Say("serving"), TaskScheduler.Default);
        handoff.Retiring.Register(() => Say("retiring"));
        app.Lifetime.ApplicationStopped.Register(() => Say("stopped"));
        var active = ActiveConnections.Follow();
        app.Lifetime.ApplicationStopped.Register(() => Write($"active {handoff.Generation} {active()}"));

        void Say(string word) => Write($"{word} {handoff.Generation} {Environment.ProcessId} {string.Join(' ', app.Urls)}");
    }

    private static void Write(string line)
    {
        try
        {
            Console.WriteLine(line);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // started without a stdout
        }
    }
}
