using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Http;

/// <summary>A request as it came, before any middleware of the app has changed it.</summary>
internal static class RequestHead
{
    public static byte[] Write(HttpContext context)
    {
        var request = context.Features.GetRequiredFeature<IHttpRequestFeature>();
        var head = new StringBuilder()
            .Append(request.Method).Append(' ').Append(request.RawTarget).Append(" HTTP/1.1\r\n");
        foreach (var (name, values) in request.Headers)
        {
            foreach (var value in values)
            {
                head.Append(name).Append(": ").Append(value).Append("\r\n");
            }
        }

        return Encoding.UTF8.GetBytes(head.Append("\r\n").ToString()); // Kestrel's own encoding, unless an app chooses another
    }
}
