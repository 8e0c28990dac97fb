using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The predecessor takes back what this instance, its successor, serves already.</summary>
internal sealed class RolledBackException(LifeLine line, RollBack word) : Exception(word.Detail)
{
    public LifeLine Line => line;

    /// <summary>See <see cref="RollBack.WithinMs"/>.</summary>
    public int? WithinMs => word.WithinMs;
}
