using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Http;
using KestrelHandoff.Tests.Connections;
using KestrelHandoff.Tests.Listeners;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Tests.Http;

/// <summary>When a request with a body is over for its connection, as Kestrel runs it.</summary>
public sealed class ExchangesTests : IAsyncDisposable
{
    private const string Chunked = "Transfer-Encoding: chunked", Counted = "Content-Length: 4", Expecting = "\r\nExpect: 100-continue";

    private readonly ListenerHost _listeners = new();
    private readonly TaskCompletionSource<HandoffConnection> _connection = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WebApplication? _app;

    [Theory]
    [InlineData(Chunked)]
    [InlineData(Counted)]
    public async Task AppReadsThroughAStreamOfItsOwn_ConnectionCanMove(string framing)
    {
        using var client = await ServeAsync(async context =>
        {
            context.Request.EnableBuffering();
            await context.Request.Body.CopyToAsync(Stream.Null);
        });
        await SendAsync(client, framing, withBody: true);
        Assert.StartsWith("HTTP/1.1 200", await AnswerAsync(client), StringComparison.Ordinal);
        await AssertMovesAsync();
    }

    [Theory]
    [InlineData(Chunked)]
    [InlineData(Counted)]
    public async Task AppReadsWhatItWasSentAfterAContinue_ConnectionCanMove(string framing)
    {
        using var client = await ServeAsync(context => context.Request.Body.CopyToAsync(Stream.Null));
        await SendAsync(client, framing + Expecting, withBody: false);
        Assert.Equal("HTTP/1.1 100 Continue\r\n\r\n", await AnswerAsync(client));
        await client.SendAsync(Body(framing)).OrHang();
        Assert.StartsWith("HTTP/1.1 200", await AnswerAsync(client), StringComparison.Ordinal);
        await AssertMovesAsync();
    }

    [Theory]
    [InlineData(Chunked)]
    [InlineData(Counted)]
    public async Task AppDoesNotReadWhatIsThere_ConnectionCanMove(string framing)
    {
        using var client = await ServeAsync(_ => Task.CompletedTask);
        await SendAsync(client, framing, withBody: true);
        Assert.StartsWith("HTTP/1.1 200", await AnswerAsync(client), StringComparison.Ordinal);
        await AssertMovesAsync();
    }

    [Theory]
    [InlineData(Chunked)]
    [InlineData(Counted)]
    public async Task AppDoesNotReadWhatTheClientHoldsBack_NobodyAsksForIt(string framing)
    {
        using var client = await ServeAsync(_ => Task.CompletedTask);
        await SendAsync(client, framing + Expecting, withBody: false);
        Assert.StartsWith("HTTP/1.1 200", await AnswerAsync(client), StringComparison.Ordinal);
    }

    /// <summary>What follows is of another protocol, also when the app is done with it and Kestrel not yet.</summary>
    [Fact]
    public async Task AppUpgradesAndLeavesARead_ConnectionStays()
    {
        var held = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var client = await ServeAsync(async context =>
        {
            context.Response.OnCompleted(async () => held.SetResult((await _connection.Task).Want(static _ => ValueTask.CompletedTask, out _)));
            var stream = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
            _ = stream.ReadAsync(new byte[1], context.RequestAborted).AsTask();
        });
        await client.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"u8.ToArray()).OrHang();
        Assert.StartsWith("HTTP/1.1 101", await AnswerAsync(client), StringComparison.Ordinal);
        Assert.False(await held.Task.OrHang());
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }

        await _listeners.DisposeAsync();
    }

    private async Task<Socket> ServeAsync(RequestDelegate handler)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton<IConnectionListenerFactory>(_listeners.Factory);
        _app = builder.Build();
        _app.Use(next => context =>
        {
            var connection = context.Features.Get<HandoffConnection>()!;
            _connection.TrySetResult(connection);
            return Exchanges.RunAsync(connection, next, context);
        });
        _app.Run(handler);
        await _app.StartAsync(TestContext.Current.CancellationToken).OrHang();
        return await Clients.ConnectAsync(_listeners.Table.Listeners[0].EndPoint);
    }

    /// <summary>Now, or with the read that Kestrel has not come to yet.</summary>
    private async Task AssertMovesAsync()
    {
        var taken = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        (await _connection.Task.OrHang()).Want(
            connection =>
            {
                taken.SetResult(connection.IsHeld);
                return ValueTask.CompletedTask;
            },
            out _);
        Assert.True(await taken.Task.OrHang());
    }

    private static async Task SendAsync(Socket client, string headers, bool withBody)
    {
        byte[] head = Encoding.ASCII.GetBytes($"POST / HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n");
        await client.SendAsync(withBody ? [.. head, .. Body(headers)] : head).OrHang();
    }

    private static byte[] Body(string framing) => framing.StartsWith(Chunked, StringComparison.Ordinal) ? "4\r\nbody\r\n0\r\n\r\n"u8.ToArray() : "body"u8.ToArray();

    /// <summary>Up to the end of the head.</summary>
    private static async Task<string> AnswerAsync(Socket client)
    {
        var answer = "";
        while (!answer.EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            answer += await client.ReceiveTextAsync(1);
        }

        return answer;
    }
}
