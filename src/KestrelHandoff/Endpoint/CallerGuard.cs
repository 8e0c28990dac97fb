using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Interop;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace KestrelHandoff.Endpoint;

/// <summary>Who may call the endpoint: whom the app has authorised; where it authorises nobody, callers on this machine.</summary>
internal static class CallerGuard
{
    /// <summary>What a proxy adds, and what UseForwardedHeaders() leaves behind.</summary>
    private static readonly string[] ProxyHeaders = ["Forwarded", "X-Original-For", "X-Original-Host", "X-Original-Proto", "X-Real-IP", "Via"];

    /// <summary>Has what a caller on this machine passes compiled before there are clients: the request for a handoff comes in between theirs, on the threads that they wait for.</summary>
    /// <returns>Why that caller is refused: null.</returns>
    public static string? Rehearse()
    {
        var context = new DefaultHttpContext
        {
            Request = { Host = new("localhost"), Headers = { UserAgent = nameof(Rehearse) } },
            Connection = { RemoteIpAddress = IPAddress.Loopback },
        };
        context.SetEndpoint(new(requestDelegate: null, EndpointMetadataCollection.Empty, displayName: null));
        return Refusal(context);
    }

    /// <summary>Why this caller is refused; null if it is not.</summary>
    public static string? Refusal(HttpContext context)
    {
        // Even an authorised browser must not be made to do it by another site: cookies go along with such requests.
        if (IsCrossSite(context.Request))
        {
            return "The request comes from a page of another site, or of a name that another site may control: call without a browser, or over HTTPS.";
        }

        if (IsAuthorised(context.GetEndpoint()?.Metadata))
        {
            return null;
        }

        if (context.Request.Headers.Keys.FirstOrDefault(IsOfProxy) is { } header)
        {
            return $"The request came through a proxy ({header}). Call this instance directly, or give the endpoint an authorisation policy: "
                + "app.MapSocketHandoff().RequireAuthorization(…).";
        }

        if (HttpProtocol.IsHttp10(context.Request.Protocol))
        {
            return "The request is HTTP/1.0, which is what nginx speaks to an upstream if not told otherwise. Call this instance directly with HTTP/1.1, "
                + "or give the endpoint an authorisation policy: app.MapSocketHandoff().RequireAuthorization(…).";
        }

        var remote = context.Connection.RemoteIpAddress;
        if (context.Features.Get<IConnectionEndPointFeature>() is { } connection && !Equals((connection.RemoteEndPoint as IPEndPoint)?.Address, remote))
        {
            // Which takes the header away, and of a connection without an address, over a Unix socket, leaves no other trace: there it believes whoever sent it.
            return $"The request came through a proxy ({remote}, by UseForwardedHeaders()). Call this instance directly, or give the endpoint an authorisation policy: "
                + "app.MapSocketHandoff().RequireAuthorization(…).";
        }

        if (remote is null)
        {
            return UnixRefusal(context);
        }

        if (!IPAddress.IsLoopback(remote.IsIPv4MappedToIPv6 ? remote.MapToIPv4() : remote))
        {
            return $"{remote} is not this machine. Call from it, or give the endpoint an authorisation policy: app.MapSocketHandoff().RequireAuthorization(…).";
        }

        // A browser on this machine can be led here by a name of another site that resolves to the loopback (DNS rebinding).
        return IsOwnName(context.Request.Host.Host)
            ? null
            : $"'{context.Request.Host.Host}' is a name that others may control. Call as localhost or by address, or give the endpoint an authorisation policy.";
    }

    /// <summary>A Unix socket has no address, but the kernel says who calls; the file's mode may let others in, such as a proxy.</summary>
    private static string? UnixRefusal(HttpContext context)
    {
        if (!OperatingSystem.IsLinux() || context.Features.Get<IConnectionSocketFeature>()?.Socket is not { AddressFamily: AddressFamily.Unix } socket)
        {
            return "The caller cannot be told: give the endpoint an authorisation policy: app.MapSocketHandoff().RequireAuthorization(…).";
        }

        var caller = socket.GetPeerCredentials().UserId;
        return caller == Libc.EffectiveUser() || caller == 0
            ? null
            : $"uid {caller} is not the user of this app (uid {Libc.EffectiveUser()}). Call as that user, or give the endpoint an authorisation policy.";
    }

    private static bool IsOfProxy(string header) =>
        header.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase) || ProxyHeaders.Contains(header, StringComparer.OrdinalIgnoreCase);

    private static bool IsOwnName(string host) =>
        host.Length == 0 || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || IPAddress.TryParse(host, out _);

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
