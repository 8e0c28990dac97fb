using System.Net.Sockets;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>Whether a predecessor whose line has ended without a word is dead, or has only lost the line.</summary>
internal sealed class SignOfLife(Deadlines deadlines)
{
    private const int NoVersion = 0; // refused by everybody

    /// <summary>The control socket where it was met.</summary>
    public string Path { get; set; } = "";

    /// <summary>See <see cref="ControlServer.Chain"/>; null until it has said so.</summary>
    public Guid? Chain { get; set; }

    /// <exception cref="HandoffException">It still answers others: it serves, and this instance must not.</exception>
    public async Task EnsureGoneAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var other = await deadlines.ConnectAsync(Path, cancellationToken);

            // A process that is being killed closes one descriptor after the other: only a word is a sign of life, be it a refusal.
            await other.SendAsync(new Hello(NoVersion, NoVersion, Environment.ProcessId), cancellationToken);
            using var word = await deadlines.RunAsync(HandoffStep.Exchange, "A sign of life", other.ReceiveAsync, cancellationToken);
            if (word is null || (word.Message is Refuse { Chain: { } chain } && Chain is { } own && chain != own))
            {
                return; // nobody, or one that was started anew in its place: the listeners, and the clients that wait at them, are here
            }
        }
        catch (Exception e) when (e is SocketException or EndOfStreamException)
        {
            return; // nobody is there
        }
        catch (HandoffException)
        {
            // it hangs, and has the listeners
        }

        throw new HandoffException(HandoffFailure.Refused, "The predecessor is alive, but has closed the control connection without a word.");
    }
}
