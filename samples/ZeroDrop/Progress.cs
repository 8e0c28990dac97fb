using ZeroDrop.Instances;
using ZeroDrop.Measure;

namespace ZeroDrop;

/// <summary>What a display may show while a run is under way. Written by the run, read by the display.</summary>
internal sealed class Progress(RunMode mode, RunSettings settings)
{
    private volatile IReadOnlyList<ReplacementRecord> _replacements = [];
    private volatile string _phase = "starting the app";

    public RunMode Mode => mode;

    public RunSettings Settings => settings;

    public Recorder Recorder { get; } = new();

    /// <summary>What the run is doing, in a few words.</summary>
    public string Phase
    {
        get => _phase;
        set => _phase = value;
    }

    /// <summary>Whether the instance is being replaced right now.</summary>
    public bool Replacing { get; set; }

    public IReadOnlyList<ReplacementRecord> Replacements
    {
        get => _replacements;
        set => _replacements = value;
    }

    public StreamCounters[] Streams { get; set; } = [];
}
