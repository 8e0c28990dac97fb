using HandoffDemo;

var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning); // no two lines for each request
var stock = builder.Configuration.GetValue<bool>("stock"); // --stock true: the same app without the library, to compare with
if (!stock)
{
    builder.Services.AddSocketHandoff();
}

builder.Services.AddSingleton<Generation>();
var endpoints = DemoEndpoints.Configure(builder); // --urls, --https PORT, --cert PATH, --tcp PORT

var app = builder.Build();
var generation = app.Services.GetRequiredService<Generation>();

app.UseWebSockets();
app.Use(generation.StampAsync); // X-Generation, X-Request-Id
if (!stock)
{
    app.MapSocketHandoff();
}

app.MapGet("/", () => $"Hello from generation {generation.Number}.\n");
app.MapGet("/slow", async (int ms, CancellationToken aborted) =>
{
    await Task.Delay(Math.Clamp(ms, 0, 600_000), aborted);
    return $"Slept {ms} ms in generation {generation.Number}.\n";
});
app.MapPost("/upload", async (Stream body) => await StreamEndpoints.CountAsync(body));
app.MapGet("/ws", (HttpContext context) => StreamEndpoints.EchoAsync(context, generation)).MigrateOnHandoff();
app.MapGet("/events", (CancellationToken aborted) =>
    TypedResults.ServerSentEvents(StreamEndpoints.TickAsync(generation, aborted), eventType: "tick")).MigrateOnHandoff();

_ = generation.Activated.ContinueWith(_ => Console.WriteLine($"serving: generation {generation.Number}"), TaskScheduler.Default);
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine($"ready: generation {generation.Number} process {Environment.ProcessId} {endpoints.Describe(app)}"));
app.Run();
