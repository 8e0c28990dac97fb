using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Benchmarks.Server;

/// <summary>The measured app: the same code on both transports, and little enough of it that the transport shows.</summary>
internal static class BenchmarkServer
{
    public const string Ready = "ready ";
    public const string Plaintext = "Hello, World!";

    private static readonly byte[] PlaintextBody = Encoding.ASCII.GetBytes(Plaintext);
    private static readonly byte[] LargeBody = Encoding.ASCII.GetBytes(new string('x', 16 * 1024));

    /// <summary>Serves until standard input ends; each app tells on standard output where.</summary>
    public static async Task RunAsync(IReadOnlyList<TransportKind> transports, CancellationToken cancel)
    {
        using var certificate = ServerCertificate.Create();
        var apps = new List<WebApplication>();
        try
        {
            foreach (var transport in transports)
            {
                apps.Add(Build(transport, certificate));
                await apps[^1].StartAsync(cancel);
                Console.WriteLine($"{Ready}{string.Join(' ', apps[^1].Urls)}");
            }

            while (await Console.In.ReadLineAsync(cancel) is not null)
            {
            }
        }
        finally
        {
            foreach (var app in apps)
            {
                await app.DisposeAsync();
            }
        }
    }

    private static WebApplication Build(TransportKind transport, X509Certificate2 certificate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate));
        });
        if (transport == TransportKind.Ours)
        {
            builder.Services.AddSocketHandoff();
        }

        var app = builder.Build();
        if (transport == TransportKind.Ours)
        {
            app.MapSocketHandoff();
        }

        app.MapGet("/", context => AnswerAsync(context, PlaintextBody));
        app.MapGet("/16k", context => AnswerAsync(context, LargeBody));
        app.MapPost("/upload", async context =>
        {
            await context.Request.BodyReader.CopyToAsync(Stream.Null, context.RequestAborted);
            await AnswerAsync(context, PlaintextBody);
        });
        app.MapGet("/allocated", context => AnswerAsync(context, Bytes(GC.GetTotalAllocatedBytes(precise: true))));
        app.MapGet("/live", context => AnswerAsync(context, Bytes(Live())));
        return app;
    }

    private static Task AnswerAsync(HttpContext context, byte[] body)
    {
        context.Response.ContentType = "text/plain";
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, 0, body.Length);
    }

    /// <summary>Bytes of live objects; and what the heap does not need is the kernel's again, or the resident size would say nothing.</summary>
    private static long Live()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return GC.GetTotalMemory(forceFullCollection: false);
    }

    private static byte[] Bytes(long number) => Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture));
}
