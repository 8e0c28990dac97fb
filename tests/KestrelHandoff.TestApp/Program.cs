using KestrelHandoff.TestApp;

Announcements.Launched();
var fault = Fault.Read();
fault.BeforeStart();

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders().AddSimpleConsole(console => console.SingleLine = true);
builder.Host.ConfigureHostOptions(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
builder.WebHost.ConfigureKestrel(kestrel => Endpoints.Configure(kestrel, builder.Configuration));
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MinRequestBodyDataRate = null); // a body may wait for two handoffs, however slow the machine
builder.Services.AddSocketHandoff();
fault.Configure(builder.Services);

var app = builder.Build();
fault.Configure(app);
app.UseWebSockets();
app.MapSocketHandoff();
Routes.Map(app);
Announcements.Follow(app);
app.Run();
