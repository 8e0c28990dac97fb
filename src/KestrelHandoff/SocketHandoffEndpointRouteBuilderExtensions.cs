using System.Diagnostics.CodeAnalysis;
using KestrelHandoff;
using KestrelHandoff.Endpoint;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Maps the endpoint that triggers a handoff and shows how it stands.</summary>
public static class SocketHandoffEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps <c>POST</c> (hand over to a new instance; answers with the report) and <c>GET</c> (how this instance stands).
    /// </summary>
    /// <remarks>
    /// Without authorisation of the app's own (<c>.RequireAuthorization()</c>) only callers on this machine are answered, and only if they
    /// came with no proxy's headers. Requests that a browser sends from another site are always refused. A <c>POST</c> is answered when the successor's
    /// probation is over: with the default options after 6 to 7 seconds, and in the worst case after all of their time limits.
    /// </remarks>
    /// <param name="endpoints">The app.</param>
    /// <param name="pattern">The route. The default is <c>/admin/handoff</c>.</param>
    /// <returns>A builder for both, for <c>RequireAuthorization</c> and the like.</returns>
    /// <exception cref="InvalidOperationException"><c>AddSocketHandoff()</c> was not called.</exception>
    public static IEndpointConventionBuilder MapSocketHandoff(
        this IEndpointRouteBuilder endpoints, [StringSyntax("Route")] string pattern = "/admin/handoff")
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var handoff = endpoints.ServiceProvider.GetService<ISocketHandoff>()
            ?? throw new InvalidOperationException("Call builder.Services.AddSocketHandoff() before app.MapSocketHandoff().");
        var endpoint = new HandoffEndpoint(handoff, endpoints.ServiceProvider.GetRequiredService<ILogger<HandoffEndpoint>>());
        _ = CallerGuard.Rehearse();
        _ = ReadableJson.Rehearse();
        var group = endpoints.MapGroup(pattern);
        group.MapPost("", endpoint.PostAsync);
        group.MapGet("", endpoint.GetAsync);
        return group;
    }
}
