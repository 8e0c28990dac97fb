using System.Text;
using KestrelHandoff.Http;

namespace KestrelHandoff.Tests.Http;

public sealed class EventTrackerTests
{
    [Theory]
    [InlineData("", true)]
    [InlineData("data: a", false)]
    [InlineData("data: a\n", false)]
    [InlineData("data: a\n\n", true)]
    [InlineData("data: a\r\n", false)]
    [InlineData("data: a\r\n\r\n", true)]
    [InlineData("data: a\r\r", true)]
    [InlineData("data: a\n\ndata: b\ndata: c", false)]
    [InlineData("data: a\n\n: comment\n\n", true)]
    [InlineData("data: a\n\n\n\n", true)]
    public void Pass_InOneOrBytes_IsBetweenAfterAnEmptyLine(string text, bool isBetween)
    {
        var (whole, bytes) = (default(EventTracker), default(EventTracker));
        whole.Pass(Encoding.ASCII.GetBytes(text));
        foreach (var value in Encoding.ASCII.GetBytes(text))
        {
            bytes.Pass([value]);
        }

        Assert.Equal((isBetween, isBetween), (whole.IsBetweenEvents, bytes.IsBetweenEvents));
    }
}
