using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Http;

/// <summary>The answer that begins a stream of server-sent events.</summary>
internal static class EventStreamAnswer
{
    public const string Status = "200";
    public const string ContentType = "text/event-stream";

    private const string Identity = "identity"; // as of TypedResults.ServerSentEvents

    /// <summary>The last chunk (RFC 9112 §7.1): the stream ends, and its client comes back by itself.</summary>
    public static readonly byte[] End = "0\r\n\r\n"u8.ToArray();

    /// <summary>What a new answer must agree on as well, for the client to go on without noticing.</summary>
    public static string Describe(Func<string, string?> header) => $"{Status}\n{header("Content-Type")}\n{header("Content-Encoding")}";

    /// <summary>Only a chunked answer can be taken up by another server; one that is compressed has a state of its own.</summary>
    public static bool CanMove(HttpResponse answer) =>
        answer is { StatusCode: StatusCodes.Status200OK, ContentLength: null }
        && answer.ContentType?.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase) == true
        && answer.Headers.ContentEncoding is [] or [Identity];
}
