using System.Text.Json.Serialization;

namespace KestrelHandoff.Transport.Control;

/// <summary>The protocol on one screen; docs/protocol.md has it in words. One JSON object a message, <c>type</c> says which.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Hello), "hello")]
[JsonDerivedType(typeof(Welcome), "welcome")]
[JsonDerivedType(typeof(Offer), "offer")]
[JsonDerivedType(typeof(Ready), "ready")]
[JsonDerivedType(typeof(Probe), "probe")]
[JsonDerivedType(typeof(Commit), "commit")]
[JsonDerivedType(typeof(Accepting), "accepting")]
[JsonDerivedType(typeof(Check), "check")]
[JsonDerivedType(typeof(Checked), "checked")]
[JsonDerivedType(typeof(RollBack), "roll-back")]
[JsonDerivedType(typeof(RolledBack), "rolled-back")]
[JsonDerivedType(typeof(Confirm), "confirm")]
[JsonDerivedType(typeof(Confirmed), "confirmed")]
[JsonDerivedType(typeof(Migrate), "migrate")]
[JsonDerivedType(typeof(Migrated), "migrated")]
[JsonDerivedType(typeof(Draining), "draining")]
[JsonDerivedType(typeof(Refuse), "refuse")]
[JsonDerivedType(typeof(Abort), "abort")]
internal abstract record ControlMessage
{
    /// <summary>How many descriptors travel with the message.</summary>
    [JsonIgnore]
    public virtual int DescriptorCount => 0;
}

/// <summary>Successor → predecessor, first: who I am and what I speak.</summary>
internal sealed record Hello(int Version, int MinVersion, int ProcessId) : ControlMessage
{
    public IReadOnlyList<string> Capabilities { get => field ?? []; init; } // absent is null: the serializer sets init properties in any case

    /// <summary>The secret that a launched successor was given; an independent one has none.</summary>
    public string? Token { get; init; }

    /// <summary>What the build of an independent one is told from others by; who launches a successor knows it.</summary>
    public string? Build { get; init; }
}

/// <summary>Predecessor → successor: the version and capabilities to use. With its stdout and stderr, if <c>StandardStreams</c>.</summary>
internal sealed record Welcome(int Version, int ProcessId, int Generation, Guid HandoffId, bool StandardStreams) : ControlMessage
{
    public IReadOnlyList<string> Capabilities { get => field ?? []; init; } // absent is null: the serializer sets init properties in any case

    /// <summary>See <see cref="ControlServer.Chain"/>.</summary>
    public Guid? Chain { get; init; }

    [JsonIgnore] // not inherited
    public override int DescriptorCount => StandardStreams ? 2 : 0;
}

/// <summary>Predecessor → successor, with one descriptor for each listener, in order; the last of several says so.</summary>
internal sealed record Offer(IReadOnlyList<OfferedListener> Listeners, bool Last) : ControlMessage
{
    [JsonIgnore] // not inherited
    public override int DescriptorCount => Listeners.Count;
}

/// <summary>A listener on the wire.</summary>
internal sealed record OfferedListener(string Name, string Address, bool OwnsPath);

/// <summary>Successor → predecessor: the app has started and is healthy; these listeners it has.</summary>
internal sealed record Ready(IReadOnlyList<ReadyListener> Listeners) : ControlMessage;

/// <summary>
/// A listener of the successor. <c>AdoptedFrom</c> is the name it was offered under, none if it is new; <c>Scheme</c> is <c>http</c>
/// or <c>https</c> where the server says so.
/// </summary>
internal sealed record ReadyListener(string Name, string Address)
{
    public string? AdoptedFrom { get; init; }

    public string? Scheme { get; init; }
}

/// <summary>Predecessor → successor, with one connected socket: a connection for that listener.</summary>
internal sealed record Probe(string Listener) : ControlMessage
{
    [JsonIgnore] // not inherited
    public override int DescriptorCount => 1;
}

/// <summary>Predecessor → successor: open the gates.</summary>
internal sealed record Commit : ControlMessage;

/// <summary>Successor → predecessor: the gates are open.</summary>
internal sealed record Accepting : ControlMessage;

/// <summary>Predecessor → successor, during the probation: are you well?</summary>
internal sealed record Check : ControlMessage
{
    /// <summary>How long the predecessor waits for the answer: its limit may be another than that of a new release.</summary>
    public int? WithinMs { get; init; }
}

/// <summary>Successor → predecessor: what is wrong with me, if anything is, and how many connections I have.</summary>
internal sealed record Checked(int Connections) : ControlMessage
{
    public string? Fault { get; init; }
}

/// <summary>Predecessor → successor, after Commit: I accept again; give back what you have accepted, by Migrate, and leave.</summary>
internal sealed record RollBack(string Detail) : ControlMessage
{
    /// <summary>How long the predecessor waits for RolledBack.</summary>
    public int? WithinMs { get; init; }
}

/// <summary>Successor → predecessor: what could be given back at once is with you. The rest follows, or ends here.</summary>
internal sealed record RolledBack(int Connections) : ControlMessage
{
    /// <summary>How long the successor drains: by its own limit, which may be another than the predecessor's.</summary>
    public long? DrainMs { get; init; }
}

/// <summary>
/// Predecessor → successor: my gates are shut; you are the serving instance. With the listener of the control socket at
/// <c>ControlPath</c>, if it has one.
/// </summary>
internal sealed record Confirm : ControlMessage
{
    public string? ControlPath { get; init; }

    [JsonIgnore] // not inherited
    public override int DescriptorCount => ControlPath is null ? 0 : 1;
}

/// <summary>Successor → predecessor: what came with Confirm is mine; let go.</summary>
internal sealed record Confirmed : ControlMessage;

/// <summary>Predecessor → successor after Confirmed, or the other way after RollBack, with one descriptor for each connection, in order: they are yours.</summary>
internal sealed record Migrate(IReadOnlyList<MigratingConnection> Connections) : ControlMessage
{
    [JsonIgnore] // not inherited
    public override int DescriptorCount => Connections.Count;
}

/// <summary>
/// A live connection on the wire. <c>Listener</c> is the name its listener was offered under; <c>Received</c> is what the client
/// had sent and nobody has answered yet; <c>Remote</c> is the client's address, which the socket forgets when the client resets it.
/// <c>State</c> is what its handler leaves to the next one; a connection with neither it nor <c>Replay</c> waits for an HTTP/1.1 request.
/// </summary>
internal sealed record MigratingConnection(string Listener, string Id)
{
    public string? Remote { get; init; }

    public byte[]? Received { get; init; }

    public byte[]? State { get; init; }

    public MigratingReplay? Replay { get; init; }
}

/// <summary>The request that the server is to be asked first, before <c>Received</c>, and what its answer must be, which the client is not to see.</summary>
internal sealed record MigratingReplay(byte[] Request, string Answer);

/// <summary>The answer: the connections of the last Migrate are mine; close yours.</summary>
internal sealed record Migrated(int Count) : ControlMessage;

/// <summary>Predecessor → successor after Confirmed, or the other way after RolledBack: how my drain stands, and those of the instances before me. No answer.</summary>
internal sealed record Draining(IReadOnlyList<HandoffDrainingInstance> Instances) : ControlMessage;

/// <summary>Either side: your message cannot be taken. The sender closes the connection; the predecessor serves on.</summary>
internal sealed record Refuse(string Reason, string Detail) : ControlMessage
{
    /// <summary>See <see cref="ControlServer.Chain"/>.</summary>
    public Guid? Chain { get; init; }
}

/// <summary>Either side: the handoff is off. The successor exits, the predecessor serves on.</summary>
internal sealed record Abort(string Detail) : ControlMessage;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    AllowOutOfOrderMetadataProperties = true,
    RespectRequiredConstructorParameters = true,
    RespectNullableAnnotations = true,
    MaxDepth = 8)]
[JsonSerializable(typeof(ControlMessage))]
internal sealed partial class ControlJson : JsonSerializerContext;
