namespace KestrelHandoff.Transport.Control;

/// <summary>A message that cannot be taken; <see cref="Reason"/> is one of <see cref="ControlProtocol.Reasons"/> and goes back to the peer.</summary>
internal sealed class ControlException(string reason, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public string Reason => reason;
}
