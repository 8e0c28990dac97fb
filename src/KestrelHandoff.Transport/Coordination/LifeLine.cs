using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The control connection as the successor holds it: always listened to, whatever the app takes its time for.</summary>
internal sealed class LifeLine(ControlChannel channel, IReadOnlyList<string> capabilities, ILogger logger)
{
    /// <summary>What both sides can do.</summary>
    public IReadOnlyList<string> Capabilities { get; } = capabilities;

    /// <summary>What the predecessor says next; null when it is gone.</summary>
    public Task<ControlChannel.Received?> Word { get; private set; } = HearAsync(channel);

    /// <summary>The next word, which the caller disposes.</summary>
    public async Task<ControlChannel.Received?> NextAsync(CancellationToken cancellationToken)
    {
        var word = await Word.WaitAsync(cancellationToken);
        if (word is not null)
        {
            Word = HearAsync(channel);
        }

        return word;
    }

    /// <summary>A predecessor that is gone may have left a word, Abort above all: what it said last is read before it counts as dead.</summary>
    public async Task AnswerAsync(ControlMessage answer, CancellationToken cancellationToken)
    {
        try
        {
            await channel.SendAsync(answer, cancellationToken);
        }
        catch (Exception e) when (PeerGone.Is(e))
        {
            Log.NotHeard(logger, answer.GetType().Name);
        }
    }

    public Task SendAsync(ControlMessage message, IReadOnlyList<SafeHandle> descriptors, CancellationToken cancellationToken) =>
        channel.SendAsync(message, descriptors, cancellationToken);

    public void Close() => channel.Dispose();

    private static async Task<ControlChannel.Received?> HearAsync(ControlChannel channel)
    {
        try
        {
            return await channel.ReceiveAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is EndOfStreamException or ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
        {
            return null; // killed in the middle of a word, or this instance listens no more
        }
    }
}
