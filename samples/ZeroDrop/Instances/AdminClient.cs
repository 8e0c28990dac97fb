using System.Text;
using System.Text.Json;
using ZeroDrop.Load;

namespace ZeroDrop.Instances;

/// <summary>What the app answered to <c>POST /admin/handoff</c>.</summary>
/// <param name="Error">Null when the handoff was completed.</param>
/// <param name="DurationMs">As the answer says; 0 when it does not.</param>
internal sealed record HandoffAnswer(
    string? Error, Instance? Predecessor, Instance? Successor, double DurationMs, IReadOnlyList<KeyValuePair<string, double>> Phases)
{
    /// <summary>Of HTTP; 0 without an answer.</summary>
    public int Status { get; init; }

    /// <summary>As the report says, that of a problem too.</summary>
    public string? Outcome { get; init; }

    /// <summary>Connections a successor that was rolled back gave back.</summary>
    public int Returned { get; init; }

    /// <summary>Those that it took with it.</summary>
    public int Lost { get; init; }
}

/// <summary>The app's handoff endpoint, read leniently: what is missing is left out.</summary>
internal sealed class AdminClient(Target target)
{
    private const string Path = "/admin/handoff";
    private static readonly TimeSpan PostTimeout = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan GetTimeout = TimeSpan.FromSeconds(5);

    /// <returns>The instance that serves, or null when the endpoint does not say.</returns>
    public async Task<Instance?> ServingAsync()
    {
        var (_, json) = await AskAsync("GET", GetTimeout);
        return json is { } document ? FindInstance(document.RootElement) : null;
    }

    /// <summary>A connection for <see cref="PhaseAsync"/>, not open yet.</summary>
    public HttpConnection Connect() => new(target.EndPoint);

    /// <param name="kept">Opened when it is not, and kept open.</param>
    /// <returns>The phase of the instance that has this connection; null when it does not say.</returns>
    public async Task<string?> PhaseAsync(HttpConnection kept)
    {
        var (_, json) = await AskAsync("GET", GetTimeout, kept);
        if (json is null)
        {
            kept.Close();
        }

        return json?.RootElement is { ValueKind: JsonValueKind.Object } root ? Text(root, "phase") : null;
    }

    public async Task<HandoffAnswer> HandOffAsync()
    {
        var (status, json) = await AskAsync("POST", PostTimeout);
        if (json?.RootElement is not { ValueKind: JsonValueKind.Object } root)
        {
            return new HandoffAnswer(status == 0 ? "no answer" : $"status {status}", null, null, 0, []) { Status = status };
        }

        var report = root.TryGetProperty("report", out var nested) && nested.ValueKind == JsonValueKind.Object ? nested : root;
        var outcome = Text(report, "outcome");
        var error = status is >= 200 and < 300 && outcome is null or "completed"
            ? null
            : $"status {status}: {Text(root, "detail") ?? Text(root, "title") ?? outcome ?? "no reason given"}";
        return new HandoffAnswer(error, Find(report, "predecessor"), Find(report, "successor"), Number(report, "durationMs"), Phases(report))
        {
            Status = status,
            Outcome = outcome,
            Returned = (int)Number(report, "connectionsReturned"),
            Lost = (int)Number(report, "connectionsLost"),
        };
    }

    private async Task<(int Status, JsonDocument? Json)> AskAsync(string method, TimeSpan limit)
    {
        using var connection = Connect();
        return await AskAsync(method, limit, connection, "Connection: close\r\n");
    }

    private async Task<(int Status, JsonDocument? Json)> AskAsync(string method, TimeSpan limit, HttpConnection connection, string fields = "")
    {
        using var timeout = new CancellationTokenSource(limit);
        using var expiry = timeout.Token.Register(() => connection.Expire(long.MaxValue));
        var request = $"{method} {Path} HTTP/1.1\r\nHost: {target.Host}\r\nAccept: application/json\r\n{fields}" +
            (method == "POST" ? "Content-Length: 0\r\n\r\n" : "\r\n");
        if ((!connection.IsOpen && await connection.ConnectAsync() != Failure.None)
            || await connection.SendAsync(Encoding.ASCII.GetBytes(request)) != Failure.None)
        {
            return default;
        }

        var answer = await connection.ReceiveAsync();
        await Task.Yield(); // off the socket thread, which the load needs: what follows is compiled while it runs for the first time
        if (answer.Failure != Failure.None)
        {
            return (answer.Status, null);
        }

        try
        {
            return (answer.Status, JsonDocument.Parse(connection.Body(answer).ToArray()));
        }
        catch (JsonException)
        {
            return (answer.Status, null);
        }
    }

    private static Instance? Find(JsonElement root, string name) => root.TryGetProperty(name, out var found) ? FindInstance(found) : null;

    /// <summary>The first object, from the outside in, that names a process.</summary>
    private static Instance? FindInstance(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        return element.TryGetProperty("processId", out var id) && id.TryGetInt32(out var processId)
            ? new Instance(processId, (int)Number(element, "generation"))
            : element.EnumerateObject().Select(p => FindInstance(p.Value)).FirstOrDefault(i => i is not null);
    }

    private static List<KeyValuePair<string, double>> Phases(JsonElement root)
    {
        var phases = new List<KeyValuePair<string, double>>();
        if (root.TryGetProperty("phases", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            phases.AddRange(list.EnumerateArray().Where(p => p.ValueKind == JsonValueKind.Object)
                .Select(p => KeyValuePair.Create(Text(p, "phase") ?? "?", Number(p, "durationMs"))));
        }

        return phases;
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static double Number(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : 0;
}
