using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;

namespace KestrelHandoff.Endpoint;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true,
    Converters =
    [
        typeof(CamelCase<HandoffPhase>), typeof(CamelCase<HandoffTrigger>), typeof(CamelCase<HandoffOutcome>), typeof(CamelCase<HandoffFailure>),
        typeof(CamelCase<ListenerFate>),
    ])]
[JsonSerializable(typeof(HandoffReport))]
[JsonSerializable(typeof(HandoffStatus))]
[JsonSerializable(typeof(ProblemDetails))]
internal sealed partial class HandoffJson : JsonSerializerContext;

/// <summary>For people at a terminal: a '+' or '&lt;' in a start-up log stays readable. The content type says that it is no HTML.</summary>
internal static class ReadableJson
{
    public static HandoffJson Context { get; } =
        new(new JsonSerializerOptions(HandoffJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>Has what writes a report compiled before there are clients: one is written as the last of their connections move.</summary>
    /// <returns>A report, of nothing.</returns>
    public static byte[] Rehearse() => JsonSerializer.SerializeToUtf8Bytes(
        new HandoffReport(Guid.Empty, HandoffTrigger.Spawned, DateTimeOffset.UnixEpoch)
        {
            Predecessor = new(0, 0),
            Successor = new(0, 0),
            Phases = [new(HandoffPhase.Serving, 0)],
            Listeners = [new("", "", ListenerFate.Adopted)],
            Probe = new(0, 0, 0),
        },
        Context.HandoffReport);
}

internal sealed class CamelCase<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase)
    where T : struct, Enum;
