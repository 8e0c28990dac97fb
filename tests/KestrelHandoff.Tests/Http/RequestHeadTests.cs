using System.Text;
using KestrelHandoff.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Tests.Http;

public sealed class RequestHeadTests
{
    [Fact]
    public void Write_IsTheRequestAsItCame()
    {
        var context = new DefaultHttpContext();
        context.Features.Get<IHttpRequestFeature>()!.RawTarget = "/chat%20room?a=%2F";
        context.Request.Method = "GET";
        context.Request.Headers["Host"] = "example";
        context.Request.Headers["Cookie"] = new[] { "a=1", "b=ü" };
        Assert.Equal(
            "GET /chat%20room?a=%2F HTTP/1.1\r\nHost: example\r\nCookie: a=1\r\nCookie: b=ü\r\n\r\n",
            Encoding.UTF8.GetString(RequestHead.Write(context)));
    }
}
