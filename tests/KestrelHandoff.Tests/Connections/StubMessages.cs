using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Tests.Connections;

/// <summary>A conversation that is between two messages when the test says so.</summary>
internal sealed class StubMessages : IMessages
{
    public Func<bool> Holds { get; set; } = static () => false;

    public Replay? Replay { get; init; }

    public bool IsOneWay { get; init; } = true;

    public bool TryHold() => Holds();

    public void OnHeld()
    {
    }

    public void SayGoodbye()
    {
    }
}
