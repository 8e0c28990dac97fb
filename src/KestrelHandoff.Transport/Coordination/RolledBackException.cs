namespace KestrelHandoff.Transport.Coordination;

/// <summary>The predecessor takes back what this instance, its successor, serves already.</summary>
internal sealed class RolledBackException(LifeLine line, string detail) : Exception(detail)
{
    public LifeLine Line => line;
}
