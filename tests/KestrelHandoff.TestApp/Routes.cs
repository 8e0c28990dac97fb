using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;

namespace KestrelHandoff.TestApp;

internal static class Routes
{
    public static void Map(WebApplication app)
    {
        var handoff = app.Services.GetRequiredService<ISocketHandoff>();
        MapRequests(app, handoff);
        MapProcess(app);
        app.Map("/ws", context => EchoAsync(context, handoff.Generation));
        WebSockets.Map(app);
        Events.Map(app);
        app.MapPost("/hand-off-from-code", async () => (await handoff.HandOffAsync()).Outcome.ToString());
    }

    private static void MapRequests(WebApplication app, ISocketHandoff handoff)
    {
        app.MapGet("/", (HttpResponse response) =>
        {
            response.Headers["X-Process"] = $"{Environment.ProcessId}";
            return $"{handoff.Generation}";
        });
        app.MapPost("/upload", async (HttpRequest request) =>
        {
            var buffer = new byte[4096];
            long count = 0;
            for (var part = 1; part > 0; count += part)
            {
                part = await request.Body.ReadAsync(buffer);
            }

            return $"{handoff.Generation}:{count}";
        });

        // Answered when the handoff that runs meanwhile has come through; a body is left unread.
        app.MapMethods("/until-retiring", [HttpMethods.Get, HttpMethods.Post], async (HttpContext context) =>
        {
            Console.WriteLine("waits");
            await UntilAsync(handoff.Retiring);
            return $"{handoff.Generation}";
        });
        app.MapGet("/fails", async (HttpContext context, bool? caught, bool? late) =>
        {
            if (late == true)
            {
                Console.WriteLine("waits");
                await UntilAsync(handoff.Retiring);
            }

            context.Response.Clear(); // as UseExceptionHandler() does before its answer
            return caught == true ? TypedResults.StatusCode(StatusCodes.Status500InternalServerError) : throw new InvalidOperationException("It fails.");
        });
        app.MapGet("/echo/{text}", (string text) => $"{handoff.Generation}:{text}");
        app.MapPost("/execute/{id}", async (string id, HttpRequest request) =>
        {
            Executions.Note(id);
            using var reader = new StreamReader(request.Body);
            return $"{handoff.Generation}:{id} {await reader.ReadToEndAsync()}";
        });
        app.MapGet("/forever", async (HttpContext context) =>
        {
            await context.Response.WriteAsync("begun");
            await context.Response.Body.FlushAsync();
            await UntilAsync(context.RequestAborted);
        });
    }

    private static void MapProcess(WebApplication app)
    {
        app.MapGet("/directory", () => Environment.CurrentDirectory);
        app.MapGet("/program", () => AppContext.BaseDirectory);
        app.MapGet("/environment/{name}", (string name) => Environment.GetEnvironmentVariable(name) ?? "(none)");
        app.MapPost("/environment/{name}/{value}", (string name, string value) => Environment.SetEnvironmentVariable(name, value));
        app.MapGet("/pool-floor", () =>
        {
            ThreadPool.GetMinThreads(out var workers, out _);
            return $"{workers}";
        });
        app.MapPost("/say/{text}", (string text) => Console.Out.WriteLine(text));
        app.MapPost("/complain/{text}", (string text) => Console.Error.WriteLine(text));
        app.MapGet("/grandchild-environment", async () =>
        {
            using var process = Process.Start(new ProcessStartInfo("cat", ["/proc/self/environ"]) { RedirectStandardOutput = true })!;
            return await process.StandardOutput.ReadToEndAsync();
        });
    }

    private static async Task EchoAsync(HttpContext context, int generation)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[1024];
        while (await socket.ReceiveAsync(buffer, context.RequestAborted) is { MessageType: not WebSocketMessageType.Close } received)
        {
            var text = $"{generation}:{Encoding.UTF8.GetString(buffer, 0, received.Count)}";
            await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, context.RequestAborted);
        }

        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
    }

    private static async Task UntilAsync(CancellationToken token)
    {
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = token.Register(cancelled.SetResult);
        await cancelled.Task;
    }
}
