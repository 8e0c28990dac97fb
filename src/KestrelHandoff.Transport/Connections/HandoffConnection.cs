using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Transport.Connections;

/// <summary>
/// A connection as Kestrel's own socket transport has it, which can also let its socket go (HandoffConnection.Release.cs).
/// </summary>
internal sealed partial class HandoffConnection : ConnectionContext
{
    private readonly Socket _socket;
    private readonly ConnectionLane _lane;
    private readonly BoundaryPipe _ownTransport;
    private readonly PipeWriter _input;
    private readonly PipeReader _output;
    private readonly CancellationTokenSource _connectionClosed = new();

    private readonly ReadSignal _readSignal; // also the lock of the phase: an idle connection is worth its bytes

    private Task _receiving = Task.CompletedTask;
    private Task _sending = Task.CompletedTask;
    private SocketSender? _sender;
    private volatile Exception? _endReason;
    private volatile Phase _phase;
    private volatile bool _peerEnded; // FIN, reset, or an error that leaves nothing to receive
    private volatile bool _peerGone; // one of the latter two: nobody can go on with the socket
    private volatile bool _readerGone; // the application completed its input: what it had not consumed is lost
    private bool _closedFired;
    private bool _disposed;
    private bool _lingers;

    public HandoffConnection(
        Socket socket, ConnectionLane lane, EndPoint? localEndPoint, EndPoint? remoteEndPoint, string? connectionId, Func<PipeWriter, ReplayedOutput>? behind = null)
    {
        _socket = socket;
        _lane = lane;
        _readSignal = new ReadSignal(lane.Wake);
        _localEndPoint = localEndPoint;
        _remoteEndPoint = remoteEndPoint;
        _connectionId = connectionId;

        var input = new Pipe(lane.InputOptions);
        var output = new Pipe(lane.OutputOptions);
        _input = input.Writer;
        _output = output.Reader;
        _transport = _ownTransport = new BoundaryPipe(this, input.Reader, behind?.Invoke(output.Writer) ?? output.Writer);
        ConnectionClosed = _connectionClosed.Token;
    }

    private enum Phase : byte
    {
        Live,

        /// <summary>Held: receives no more and ignores Abort; the application still writes.</summary>
        Stopped,

        /// <summary>As Stopped; the application is done, the end of its output does not shut the socket down.</summary>
        Releasing,

        /// <summary>The socket is somebody else's.</summary>
        Released,

        /// <summary>The socket is shut down or closed.</summary>
        Ended,
    }

    /// <summary>The name of the listener that it came by.</summary>
    public string? ListenerName => Origin?.ListenerName;

    /// <summary>What it has in common with the others of its listener; null if it came by none.</summary>
    public ConnectionOrigin? Origin { get; init; }

    /// <summary>Where this connection is in its registry's list.</summary>
    internal ref ConnectionRegistry.LinkPair Links => ref _links;

    /// <summary>Which of the registry's lists; not in <see cref="Links"/>, where it would take eight bytes.</summary>
    internal byte Stripe { get; set; }

    private ConnectionRegistry.LinkPair _links;

    /// <summary>Begins to receive and send.</summary>
    /// <param name="received">Bytes that were received before; the application gets them first.</param>
    /// <param name="request">A request to be replayed, before all that.</param>
    public void Start(ReadOnlyMemory<byte> received, ReadOnlyMemory<byte> request = default)
    {
        _lane.Registry.Add(this);
        _receiving = Replayed is { } replayed ? ReceiveAfterReplayAsync(replayed, request, received)
            : received.IsEmpty ? ReceiveAsync()
            : ReceiveAfterAsync(received);
        _sending = SendAsync();
    }

    /// <summary>Ends the connection at once; the peer sees a reset. Does nothing to a socket that is being let go.</summary>
    public override void Abort(ConnectionAbortedException abortReason)
    {
        if (TryEnd(abortReason, evenIfStopped: false))
        {
            // only after the reason is set, so that the send loop does not find one of its own
            _output.CancelPendingRead();
        }
    }

    private async Task SendAsync()
    {
        Exception? reason = null;
        Exception? unexpected = null;
        try
        {
            while (true)
            {
                var result = await _output.ReadAsync();
                if (result.IsCanceled && _belongings?.Cut is null)
                {
                    break;
                }

                var outcome = result.Buffer.IsEmpty ? SocketError.Success : await SendWithRentedAsync(result.Buffer);
                if (outcome != SocketError.Success)
                {
                    (reason, unexpected) = SendFailure(new SocketException((int)outcome));
                    break;
                }

                ReturnSender();
                _output.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }

                if (result.IsCanceled) // with everything that was written before the cut
                {
                    _belongings!.Cut!.SetResult();
                    await DiscardOutputAsync();
                    break;
                }
            }
        }
        catch (Exception e)
        {
            (reason, unexpected) = SendFailure(e);
        }

        TryEnd(reason, evenIfStopped: true);
        _output.Complete(unexpected);

        // a receive loop that waits for an application which is gone
        _input.CancelPendingFlush();
    }

    private async Task DiscardOutputAsync()
    {
        ReadResult result;
        do
        {
            result = await _output.ReadAsync();
            _output.AdvanceTo(result.Buffer.End);
        }
        while (!result.IsCompleted && !result.IsCanceled);
    }

    private ValueTask<SocketError> SendWithRentedAsync(in ReadOnlySequence<byte> bytes)
    {
        Touch();
        _sender = _lane.Senders.Rent();
        return _sender.SendAsync(_socket, bytes);
    }

    /// <summary>Only after a success: a sender that failed is freed by DisposeAsync.</summary>
    private void ReturnSender()
    {
        if (_sender is { } sender)
        {
            _sender = null;
            _lane.Senders.Return(sender);
        }
    }
}
