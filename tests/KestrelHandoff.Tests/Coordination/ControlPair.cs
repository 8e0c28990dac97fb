using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>The control connection of a handoff, both ends of it: the test plays one of the instances.</summary>
internal sealed class ControlPair : IDisposable
{
    private readonly SocketPair _sockets = new();

    public ControlPair() => (Predecessor, Successor) = (new(_sockets.Near), new(_sockets.Far));

    public ControlChannel Predecessor { get; }

    public ControlChannel Successor { get; }

    public void Dispose()
    {
        Predecessor.Dispose();
        Successor.Dispose();
        _sockets.Dispose();
    }
}
