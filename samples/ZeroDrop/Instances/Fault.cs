namespace ZeroDrop.Instances;

/// <summary>How a replacement is made to fail from outside: the signal its successor gets, and when.</summary>
/// <param name="From">The phase of the handoff in which the signal is due.</param>
/// <param name="Until">The last one in which it still makes the handoff end as it should.</param>
/// <param name="Outcome">What the report must then say.</param>
internal sealed record Fault(string Signal, string From, string Until, string Outcome)
{
    private static readonly string[] Phases = ["launching", "offering", "probing", "committing", "probation"];

    private static readonly Fault[] Cycle =
    [
        new("KILL", "launching", "probing", "failed"),
        new("KILL", "probing", "probing", "failed"),
        new("STOP", "offering", "probing", "failed"), // hangs until the predecessor gives up and kills it
        new("TERM", "probation", "probation", "rolledBack"),
        new("KILL", "offering", "probing", "failed"),
        new("KILL", "probing", "probing", "failed"),
        new("STOP", "launching", "probing", "failed"),
        new("TERM", "probation", "probation", "rolledBack"),
    ];

    /// <summary>The successor has clients by then.</summary>
    public bool HasClients => From == "probation";

    /// <summary>Every second replacement has one: between two that fail one must succeed.</summary>
    public static Fault? Of(int number) => number % 2 == 0 ? Cycle[((number / 2) - 1) % Cycle.Length] : null;

    public bool IsDue(string? phase) => Array.IndexOf(Phases, phase) is >= 0 and var at && at >= Array.IndexOf(Phases, From) && at <= Array.IndexOf(Phases, Until);
}
