using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace KestrelHandoff.TestApp;

/// <summary>Server-sent events that move: <c>GENERATION:COUNT</c>, and the count goes on in the successor.</summary>
internal static class Events
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);

    public static void Map(WebApplication app)
    {
        var handoff = app.Services.GetRequiredService<ISocketHandoff>();
        app.MapGet("/events-result", (HttpContext context) => TypedResults.ServerSentEvents(TickAsync(handoff, context.RequestAborted))).MigrateOnHandoff();
        app.MapGet("/events-moving/{kind?}", (HttpContext context, string? kind) => CountAsync(context, handoff, kind ?? "")).MigrateOnHandoff();
    }

    private static async IAsyncEnumerable<string> TickAsync(ISocketHandoff handoff, [EnumeratorCancellation] CancellationToken aborted)
    {
        using var pace = new PeriodicTimer(Pace);
        do
        {
            yield return $"{handoff.Generation}";
        }
        while (await pace.WaitForNextTickAsync(aborted));
    }

    private static async Task CountAsync(HttpContext context, ISocketHandoff handoff, string kind)
    {
        if (kind == "first-generation-only" && handoff.Generation > 1)
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return;
        }

        var feature = context.Features.Get<IConnectionHandoffFeature>()!;
        var count = feature.State is { } state ? int.Parse(Encoding.ASCII.GetString(state.Span), CultureInfo.InvariantCulture) : 0;
        context.Response.ContentType = "text/event-stream";
        using var pace = new PeriodicTimer(Pace);
        try
        {
            do
            {
                // in two writes: between them there is no end of an event
                var sent = $"data: {handoff.Generation}:{count + 1}";
                await context.Response.WriteAsync(sent, context.RequestAborted);
                await context.Response.WriteAsync("\n\n", context.RequestAborted);
                count++;
            }
            while (await pace.WaitForNextTickAsync(context.RequestAborted));
        }
        catch when (feature.TryHandOff(Encoding.ASCII.GetBytes($"{count}")))
        {
            // the successor's handler counts on
        }
    }
}
