using KestrelHandoff.Transport;

namespace KestrelHandoff.TestApp;

/// <summary>What this instance says on stdout about itself: the only clock of the tests.</summary>
internal static class Announcements
{
    public static void Launched() => Console.WriteLine($"launched {Environment.ProcessId}");

    public static void Follow(WebApplication app)
    {
        var handoff = app.Services.GetRequiredService<ISocketHandoff>();
        app.Lifetime.ApplicationStarted.Register(() => Say("started"));
        handoff.Activated.ContinueWith(_ => Say("serving"), TaskScheduler.Default);
        handoff.Retiring.Register(() => Say("retiring"));
        app.Lifetime.ApplicationStopped.Register(() => Say("stopped"));

        void Say(string word) => Console.WriteLine($"{word} {handoff.Generation} {Environment.ProcessId} {string.Join(' ', app.Urls)}");
    }
}
