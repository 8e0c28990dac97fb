using System.Buffers;
using KestrelHandoff.Http;
using KestrelHandoff.Tests.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Tests.Http;

public sealed class EventStreamTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "text/event-stream", true)]
    [InlineData("POST", "text/html, Text/Event-Stream;q=0.5", true)]
    [InlineData("GET", "text/html", false)]
    [InlineData("GET", null, false)]
    [InlineData("HEAD", "text/event-stream", false)] // the head of a stream, and no stream
    public void IsWanted_ByMethodAndAccept(string method, string? accept, bool isWanted)
    {
        var context = new DefaultHttpContext();
        (context.Request.Method, context.Request.Headers.Accept) = (method, accept);
        Assert.Equal(isWanted, EventStream.IsWanted(context));
    }

    /// <summary>The end of an event that the handler gave up at the word of the handoff: the client has not got it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TryHold_AfterAWriteThatWasCancelled_Stays(bool buffered)
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var context = Moving();
        await EventStream.RunAsync(
            pair.Connection,
            async context =>
            {
                var stream = (EventStream)context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
                await stream.WriteAsync("data: 1\n\n"u8.ToArray(), Cancel);
                Assert.True(stream.Replay is not null);
                await stream.WriteAsync("data: 2\n"u8.ToArray(), Cancel);
                Assert.False(stream.TryHold());
                await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
                {
                    if (buffered)
                    {
                        stream.Writer.Write("\n"u8);
                        await stream.Writer.FlushAsync(new CancellationToken(canceled: true));
                    }
                    else
                    {
                        await stream.WriteAsync("\n"u8.ToArray(), new CancellationToken(canceled: true));
                    }
                });
                Assert.False(stream.TryHold());
            },
            context).OrHang();
    }

    /// <summary>Middleware that catches it, such as UseExceptionHandler(), looks whether the client has gone; else it logs an error.</summary>
    [Fact]
    public async Task Write_Held_ThrowsWithTheRequestAborted()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await EventStream.RunAsync(
            pair.Connection,
            async context =>
            {
                var stream = (EventStream)context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
                await stream.WriteAsync("data: 1\n\n"u8.ToArray(), Cancel);
                Assert.True(stream.TryHold());
                Assert.False(context.RequestAborted.IsCancellationRequested);
                await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stream.WriteAsync("data: 2\n\n"u8.ToArray(), Cancel));
                Assert.True(context.RequestAborted.IsCancellationRequested);
                stream.OnHeld();
            },
            Moving()).OrHang();
    }

    private static DefaultHttpContext Moving()
    {
        var context = new DefaultHttpContext();
        context.SetEndpoint(new Microsoft.AspNetCore.Http.Endpoint(null, new EndpointMetadataCollection(MigratesOnHandoff.Instance), null));
        context.Response.ContentType = "text/event-stream";
        context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(new MemoryStream()));
        return context;
    }
}
