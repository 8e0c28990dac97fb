using KestrelHandoff.Http;
using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Tests.Http;

public sealed class EventStreamTests
{
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
}
