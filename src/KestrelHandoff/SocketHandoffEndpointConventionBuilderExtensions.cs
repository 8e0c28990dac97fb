using KestrelHandoff.Http;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Lets the long-lived connections of an endpoint move with a handoff.</summary>
public static class SocketHandoffEndpointConventionBuilderExtensions
{
    /// <summary>
    /// The endpoint's WebSockets and streams of server-sent events go to the successor instead of being closed: each between two messages, on the
    /// same TCP connection. The successor's pipeline runs the original request again, with routing and authorization, and its handler goes on where this one ended.
    /// </summary>
    /// <remarks>
    /// The handler here sees <c>RequestAborted</c> cancelled and its pending receive end with <see cref="OperationCanceledException"/>, or
    /// <see cref="System.Net.WebSockets.WebSocketException"/> with <c>KeepAliveTimeout</c>. The connection moves when it has ended: one that does not heed either holds its client up. A
    /// message whose send has completed reaches the client before any of the successor's; a send that throws has sent nothing. What the
    /// handler must remember it leaves as the state of <see cref="KestrelHandoff.IConnectionHandoffFeature"/>. A stream of events must leave its position there, too: the original request has the <c>Last-Event-ID</c> it came with. A connection stays and drains
    /// while a message is half sent or half received, while no receive is pending, under TLS, over HTTP/2, after a request with a body, on a connection with items or a preamble (PROXY protocol) of middleware, and with compression that keeps its context
    /// (<c>WebSocketAcceptContext.DangerousEnableCompression</c> without <c>DisableServerContextTakeover</c> and the client's likewise). A stream
    /// of events also stays if its request has no <c>Accept: text/event-stream</c>, or its answer a length or a <c>Content-Encoding</c>.
    /// </remarks>
    /// <typeparam name="TBuilder">The endpoint's or the group's builder.</typeparam>
    /// <param name="builder">What a <c>Map</c> method returned.</param>
    /// <returns><paramref name="builder"/>.</returns>
    public static TBuilder MigrateOnHandoff<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(MigratesOnHandoff.Instance);
}
