using KestrelHandoff.Http;
using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Tests.Http;

public sealed class WebSocketAnswerTests
{
    [Theory]
    [InlineData("", false)]
    [InlineData("permessage-deflate", true)]
    [InlineData("permessage-deflate; server_no_context_takeover", true)]
    [InlineData("permessage-deflate; client_no_context_takeover", true)]
    [InlineData("permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits=15", false)]
    public void HasContext_OneSideKeepsIts_True(string extensions, bool hasContext)
    {
        var answer = new HeaderDictionary { ["Sec-WebSocket-Extensions"] = extensions };
        Assert.Equal(hasContext, WebSocketAnswer.HasContext(answer));
    }

    [Fact]
    public void IsOne_OtherUpgrade_False() => Assert.False(WebSocketAnswer.IsOne(new HeaderDictionary { ["Upgrade"] = "other" }));
}
