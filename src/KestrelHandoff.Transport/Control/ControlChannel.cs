using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Control;

/// <summary>
/// One connection of the control socket: messages with their descriptors. Held open for the whole handoff it is also the life-line:
/// its end means that the peer is gone, whatever it died of.
/// </summary>
internal sealed class ControlChannel(Socket socket) : IDisposable
{
    private bool _isTorn; // a message was begun and not sent to its end: what followed would be taken for the rest of it
    private readonly SemaphoreSlim _sending = new(1); // a message may take several sends; never disposed, for it has no handle

    public PeerCredentials Peer { get; } = socket.GetPeerCredentials();

    public async Task SendAsync(ControlMessage message, IReadOnlyList<SafeHandle> descriptors, CancellationToken cancellationToken)
    {
        if (descriptors.Count != message.DescriptorCount)
        {
            throw new ArgumentException($"{message.GetType().Name} takes {message.DescriptorCount} descriptors, not {descriptors.Count}.", nameof(descriptors));
        }

        var frame = MessageCodec.Encode(message);
        await _sending.WaitAsync(cancellationToken);
        try
        {
            if (_isTorn)
            {
                throw new EndOfStreamException("Nothing more can be said on this line: a message was not sent to its end.");
            }

            await socket.SendDescriptorsAsync(frame, descriptors, cancellationToken);
        }
        catch (Exception e) when (e is not SocketException { SocketErrorCode: SocketError.TooManyOpenSockets }) // the descriptors are refused with the first byte
        {
            _isTorn = true;
            throw;
        }
        finally
        {
            _sending.Release();
        }
    }

    public Task SendAsync(ControlMessage message, CancellationToken cancellationToken) => SendAsync(message, [], cancellationToken);

    /// <summary>Receives the next message; null when the peer has closed the connection.</summary>
    /// <exception cref="ControlException">What came is no message, or not with the descriptors it should have; those are closed.</exception>
    /// <exception cref="EndOfStreamException">The peer is gone, in the middle of a message.</exception>
    public async Task<Received?> ReceiveAsync(CancellationToken cancellationToken)
    {
        var descriptors = new List<DescriptorHandle>();
        try
        {
            // Never more than one message a receive: the kernel gives the descriptors of a message with its first byte.
            var header = new byte[ControlProtocol.HeaderLength];
            if (!await FillAsync(header, descriptors, endIsFine: true, cancellationToken))
            {
                return null;
            }

            var body = new byte[MessageCodec.DecodeLength(header)];
            await FillAsync(body, descriptors, endIsFine: false, cancellationToken);
            var message = MessageCodec.Decode(body);
            if (descriptors.Count != message.DescriptorCount)
            {
                throw new ControlException(
                    ControlProtocol.Reasons.Descriptors,
                    $"{message.GetType().Name} came with {descriptors.Count} descriptors, but takes {message.DescriptorCount}.");
            }

            var received = new Received(message, [.. descriptors]);
            descriptors.Clear();
            return received;
        }
        finally
        {
            descriptors.ForEach(descriptor => descriptor.Dispose());
        }
    }

    /// <summary>Tells the peer why it is over, if it still listens; what goes wrong with that changes nothing.</summary>
    public async Task RefuseAsync(Exception reason, Deadlines deadlines, Guid? chain = null)
    {
        var detail = ControlProtocol.Shorten(reason.Message);
        ControlMessage last = reason is ControlException refused ? new Refuse(refused.Reason, detail) { Chain = chain } : new Abort(detail);
        try
        {
            await deadlines.RunAsync(HandoffStep.Exchange, "A refusal", token => SendAsync(last, token), CancellationToken.None);
        }
        catch (Exception e) when (e is SocketException or EndOfStreamException or HandoffException or ObjectDisposedException)
        {
            // the peer is gone, or does not read
        }
    }

    public void Dispose() => socket.Dispose();

    private async Task<bool> FillAsync(byte[] buffer, List<DescriptorHandle> descriptors, bool endIsFine, CancellationToken cancellationToken)
    {
        for (var filled = 0; filled < buffer.Length;)
        {
            var count = await ReceiveSomeAsync(buffer.AsMemory(filled), descriptors, cancellationToken);
            if (count == 0)
            {
                return filled == 0 && endIsFine
                    ? false
                    : throw new EndOfStreamException("The peer closed the connection in the middle of a message.");
            }

            filled += count;
            if (descriptors.Count > Libc.MaxDescriptors)
            {
                throw new ControlException(ControlProtocol.Reasons.Descriptors, $"A message came with {descriptors.Count} descriptors.");
            }
        }

        return true;
    }

    private async Task<int> ReceiveSomeAsync(Memory<byte> buffer, List<DescriptorHandle> descriptors, CancellationToken cancellationToken)
    {
        try
        {
            var received = await socket.ReceiveDescriptorsAsync(buffer, cancellationToken: cancellationToken);
            descriptors.AddRange(received);
            return received.BytesReceived;
        }
        catch (IOException e)
        {
            throw new ControlException(ControlProtocol.Reasons.Descriptors, e.Message, e);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return 0; // the peer died with unread bytes of ours
        }
    }

    /// <summary>A message and its descriptors; disposing it closes those that were not taken.</summary>
    internal sealed record Received(ControlMessage Message, IReadOnlyList<DescriptorHandle> Descriptors) : IDisposable
    {
        /// <summary>Nobody waits for it any more: what comes all the same is closed, and what goes wrong is of no interest.</summary>
        public static void Ignore(Task<Received?> receiving) => _ = receiving.ContinueWith(
            static task => (task.Exception is null && !task.IsCanceled ? task.Result : null)?.Dispose(),
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);

        public void Dispose()
        {
            foreach (var descriptor in Descriptors)
            {
                descriptor.Dispose();
            }
        }
    }
}
