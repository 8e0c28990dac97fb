// SHIM: stands in for the library until it is merged; delete this file then. It fakes a handoff the way people do it today:
// a second process on the same port by SO_REUSEPORT, then a stop of the first. Expect it to lose requests.
using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

#pragma warning disable IDE0130 // the namespaces are the library's

namespace KestrelHandoff.Transport
{
    internal interface ISocketHandoff
    {
        public int Generation { get; }
    }
}

namespace HandoffDemo
{
    internal sealed class ShimHandoff : ISocketHandoff
    {
        public const string Variable = "HANDOFF_DEMO_SHIM_GENERATION";

        public int Generation { get; } = int.Parse(Environment.GetEnvironmentVariable(Variable) ?? "1");
    }

    internal static class LibraryShim
    {
        public static void AddSocketHandoff(this IServiceCollection services)
        {
            services.AddSingleton<ISocketHandoff, ShimHandoff>();
            services.Configure<SocketTransportOptions>(options => options.CreateBoundListenSocket = endpoint =>
            {
                var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                socket.SetRawSocketOption(1, 15, MemoryMarshal.AsBytes<int>(new[] { 1 })); // SOL_SOCKET, SO_REUSEPORT
                socket.Bind(endpoint);
                return socket;
            });
        }

        public static void MapSocketHandoff(this WebApplication app)
        {
            var handoff = app.Services.GetRequiredService<ISocketHandoff>();
            app.MapGet("/admin/handoff", () => Results.Json(new { processId = Environment.ProcessId, generation = handoff.Generation }));
            app.MapPost("/admin/handoff", async (IServer server) =>
            {
                var watch = Stopwatch.StartNew();
                var addresses = server.Features.Get<IServerAddressesFeature>()!.Addresses.ToArray();
                var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
                start.ArgumentList.Add(typeof(LibraryShim).Assembly.Location);
                string[] arguments = [.. Environment.GetCommandLineArgs().Skip(1), "--urls", addresses[0]];
                Array.ForEach(arguments, start.ArgumentList.Add);
                if (app.Configuration["tcp"] is not null)
                {
                    start.ArgumentList.Add("--tcp");
                    start.ArgumentList.Add(new Uri(addresses[^1]).Port.ToString());
                }

                start.Environment[ShimHandoff.Variable] = (handoff.Generation + 1).ToString();
                var successor = Process.Start(start)!;
                while (await successor.StandardOutput.ReadLineAsync() is { } line && !line.StartsWith("ready", StringComparison.Ordinal))
                {
                }

                app.Lifetime.ApplicationStarted.WaitHandle.WaitOne();
                _ = Task.Delay(100).ContinueWith(_ => app.Lifetime.StopApplication(), TaskScheduler.Default);
                return Results.Json(new
                {
                    id = Guid.NewGuid(),
                    outcome = "completed",
                    predecessor = new { processId = Environment.ProcessId, generation = handoff.Generation },
                    successor = new { processId = successor.Id, generation = handoff.Generation + 1 },
                    durationMs = watch.Elapsed.TotalMilliseconds,
                    phases = new[] { new { phase = "launching", durationMs = watch.Elapsed.TotalMilliseconds } },
                });
            });
        }
    }
}
