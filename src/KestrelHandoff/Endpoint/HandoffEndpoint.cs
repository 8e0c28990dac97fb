using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KestrelHandoff.Http;
using KestrelHandoff.Transport.Coordination;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Endpoint;

/// <summary>HTTP's way to the handoff: a request in, the report or a problem out.</summary>
internal sealed class HandoffEndpoint(ISocketHandoff handoff, ILogger<HandoffEndpoint> logger)
{
    private const string RespondAsync = "respond-async";

    public async Task PostAsync(HttpContext context)
    {
        if (Refusal(context) is { } refusal)
        {
            await WriteProblemAsync(context, StatusCodes.Status403Forbidden, "forbidden", "This caller may not hand off.", refusal);
            return;
        }

        if (!bool.TryParse(context.Request.Query["force"].FirstOrDefault() ?? "false", out var force))
        {
            await WriteProblemAsync(
                context, StatusCodes.Status400BadRequest, "bad-request", "The request is not valid.", $"force must be true or false, but is '{context.Request.Query["force"]}'.");
            return;
        }

        HttpLog.AskedFor(logger, Caller(context));
        try
        {
            var running = handoff is SocketHandoff own
                ? own.HandOffAsync(HandoffReadiness.ListenerOf(context), force, CancellationToken.None)
                : handoff.HandOffAsync(force);
            if (!running.IsCompleted && PrefersAsync(context.Request))
            {
                await WriteAcceptedAsync(context, running);
                return;
            }

            var report = await running.WaitAsync(context.RequestAborted);
            await WriteAsync(context, StatusCodes.Status200OK, "application/json", report, ReadableJson.Context.HandoffReport);
        }
        catch (HandoffException e)
        {
            await WriteFailureAsync(context, e);
        }
    }

    public Task GetAsync(HttpContext context) => Refusal(context) is { } refusal
        ? WriteProblemAsync(context, StatusCodes.Status403Forbidden, "forbidden", "This caller may not see the handoff.", refusal)
        : WriteAsync(context, StatusCodes.Status200OK, "application/json", WithoutOutput(handoff.GetStatus()), ReadableJson.Context.HandoffStatus);

    private string? Refusal(HttpContext context)
    {
        var refusal = CallerGuard.Refusal(context);
        if (refusal is not null)
        {
            HttpLog.CallerRefused(logger, context.Request.Method, Caller(context), refusal);
        }

        return refusal;
    }

    private static string Caller(HttpContext context) =>
        context.User.Identity?.Name ?? context.Connection.RemoteIpAddress?.ToString() ?? "a caller on a Unix socket";

    /// <summary><c>Prefer: respond-async</c>, RFC 7240 §4.1.</summary>
    private static bool PrefersAsync(HttpRequest request) => request.Headers["Prefer"]
        .SelectMany(values => (values ?? "").Split(','))
        .Any(preference => preference.Split(';')[0].Trim().Equals(RespondAsync, StringComparison.OrdinalIgnoreCase));

    private Task WriteAcceptedAsync(HttpContext context, Task<HandoffReport> running)
    {
        // Nobody waits for it here: what comes of it is in the log and in the status.
        _ = running.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        context.Response.Headers.Location = $"{context.Request.PathBase}{context.Request.Path}";
        context.Response.Headers["Preference-Applied"] = RespondAsync;
        return WriteAsync(context, StatusCodes.Status202Accepted, "application/json", WithoutOutput(handoff.GetStatus()), ReadableJson.Context.HandoffStatus);
    }

    /// <summary>What a successor wrote may hold secrets: it goes to the log and to who asked for the handoff, not to everybody on this machine.</summary>
    private static HandoffStatus WithoutOutput(HandoffStatus status) =>
        status with { LastHandoff = status.LastHandoff is { } last ? last with { StartupOutput = null } : null };

    private static Task WriteFailureAsync(HttpContext context, HandoffException e)
    {
        var (status, type, title) = e.Failure switch
        {
            HandoffFailure.AlreadyRunning => (StatusCodes.Status409Conflict, "already-running", "A handoff is under way or done."),
            HandoffFailure.NotPossible => (StatusCodes.Status501NotImplemented, "not-possible", "This instance cannot hand off here."),
            HandoffFailure.Suspended => (StatusCodes.Status409Conflict, "suspended", "Too many handoffs to this build have failed."),
            HandoffFailure.TooManyDraining => (StatusCodes.Status409Conflict, "too-many-draining", "Too many earlier instances still drain."),
            HandoffFailure.LaunchFailed => (StatusCodes.Status502BadGateway, "launch-failed", "The successor could not be launched."),
            HandoffFailure.SuccessorExited => (StatusCodes.Status502BadGateway, "successor-exited", "The successor exited."),
            HandoffFailure.Timeout => (StatusCodes.Status504GatewayTimeout, "timeout", "The successor took too long."),
            HandoffFailure.Refused => (StatusCodes.Status502BadGateway, "refused", "The successor will not take over."),
            HandoffFailure.ProtocolError => (StatusCodes.Status502BadGateway, "protocol-error", "The successor does not speak the protocol."),
            HandoffFailure.ProbeFailed => (StatusCodes.Status502BadGateway, "probe-failed", "The successor answered a probe wrongly."),
            HandoffFailure.Unhealthy => (StatusCodes.Status502BadGateway, "unhealthy", "The successor's health checks failed after the commit."),
            HandoffFailure.Stopped => (StatusCodes.Status503ServiceUnavailable, "stopped", "The host was stopped."),
            _ => throw new InvalidOperationException($"{e.Failure} has no status code.", e),
        };
        return WriteProblemAsync(context, status, type, title, e.Failure is HandoffFailure.AlreadyRunning or HandoffFailure.Stopped ? e.Message : $"{e.Message} This instance goes on serving.", e.Report);
    }

    private static Task WriteProblemAsync(
        HttpContext context, int status, string type, string title, string detail, HandoffReport? report = null)
    {
        var problem = new ProblemDetails { Status = status, Type = $"urn:kestrel-handoff:{type}", Title = title, Detail = detail };
        if (report is not null)
        {
            if (report.ExitCode is { } exitCode)
            {
                problem.Extensions["exitCode"] = exitCode;
            }

            problem.Extensions["startupOutput"] = report.StartupOutput ?? "";
            problem.Extensions["report"] = report with { StartupOutput = null };
        }

        return WriteAsync(context, status, "application/problem+json", problem, ReadableJson.Context.ProblemDetails);
    }

    private static async Task WriteAsync<T>(HttpContext context, int status, string contentType, T value, JsonTypeInfo<T> type)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentType = contentType;
        byte[] body = [.. JsonSerializer.SerializeToUtf8Bytes(value, type), (byte)'\n'];
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
