using System.Net;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace KestrelHandoff.Endpoint;

/// <summary>Who may call the endpoint: whom the app has authorised; where it authorises nobody, callers on this machine.</summary>
internal static class CallerGuard
{
    /// <summary>What a proxy adds, and what UseForwardedHeaders() leaves behind.</summary>
    private static readonly string[] ProxyHeaders =
    [
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-For", "X-Original-Host", "X-Original-Proto",
        "X-Real-IP", "Via",
    ];

    /// <summary>Why this caller is refused; null if it is not.</summary>
    public static string? Refusal(HttpContext context)
    {
        // Even an authorised browser must not be made to do it by another site: cookies go along with such requests.
        if (IsCrossSite(context.Request))
        {
            return "The request comes from a page of another site.";
        }

        if (IsAuthorised(context.GetEndpoint()?.Metadata))
        {
            return null;
        }

        if (Array.Find(ProxyHeaders, context.Request.Headers.ContainsKey) is { } header)
        {
            return $"The request came through a proxy ({header}). Call this instance directly, or give the endpoint an authorisation policy: "
                + "app.MapSocketHandoff().RequireAuthorization(…).";
        }

        // A Unix socket has no address, and only who may open its file can call.
        var remote = context.Connection.RemoteIpAddress;
        return remote is null || IPAddress.IsLoopback(remote) || remote is { IsIPv4MappedToIPv6: true } && IPAddress.IsLoopback(remote.MapToIPv4())
            ? null
            : $"{remote} is not this machine. Call from it, or give the endpoint an authorisation policy: app.MapSocketHandoff().RequireAuthorization(…).";
    }

    // AllowAnonymous, such as that of a route group, undoes every policy: then nobody has been authorised.
    private static bool IsAuthorised(EndpointMetadataCollection? metadata) =>
        metadata is not null
        && metadata.GetMetadata<IAllowAnonymous>() is null
        && (metadata.GetMetadata<IAuthorizeData>() is not null || metadata.GetMetadata<AuthorizationPolicy>() is not null);

    private static bool IsCrossSite(HttpRequest request)
    {
        if (request.Headers["Sec-Fetch-Site"] is { Count: > 0 } site)
        {
            return site != "same-origin" && site != "none";
        }

        // A name that resolves to the loopback is the attacker's to choose, so "same host" counts only for a loopback host.
        return request.Headers[HeaderNames.Origin] is { Count: > 0 } origin
            && !(Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.IsLoopback && uri.Authority == request.Host.Value);
    }
}
