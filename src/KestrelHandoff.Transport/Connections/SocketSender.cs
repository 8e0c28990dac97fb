using System.Buffers;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace KestrelHandoff.Transport.Connections;

/// <summary>One send operation, reused from send to send: any number of segments leave in one sendmsg(2).</summary>
internal sealed class SocketSender() : SocketAsyncEventArgs(unsafeSuppressExecutionContextFlow: true), IValueTaskSource<SocketError>
{
    private ManualResetValueTaskSourceCore<SocketError> _completion;
    private List<ArraySegment<byte>>? _segments;

    /// <summary>Sends all of <paramref name="bytes"/>; they must stay valid until the task ends.</summary>
    /// <returns>How it ended. Nothing is thrown for an error of the connection.</returns>
    public ValueTask<SocketError> SendAsync(Socket socket, in ReadOnlySequence<byte> bytes)
    {
        if (bytes.IsSingleSegment)
        {
            SetBuffer(MemoryMarshal.AsMemory(bytes.First));
        }
        else
        {
            BufferList = SegmentsOf(bytes);
        }

        _completion.Reset();
        return socket.SendAsync(this) ? new ValueTask<SocketError>(this, _completion.Version) : new ValueTask<SocketError>(SocketError);
    }

    /// <summary>Lets go of the bytes of the last send.</summary>
    public void Reset()
    {
        if (BufferList is null)
        {
            SetBuffer(null, 0, 0);
            return;
        }

        BufferList = null;
        _segments!.Clear();
    }

    SocketError IValueTaskSource<SocketError>.GetResult(short token) => _completion.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<SocketError>.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource<SocketError>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);

    protected override void OnCompleted(SocketAsyncEventArgs e) => _completion.SetResult(SocketError);

    private List<ArraySegment<byte>> SegmentsOf(in ReadOnlySequence<byte> bytes)
    {
        var segments = _segments ??= [];
        foreach (var memory in bytes)
        {
            // a pool of memory that is no array is legal, though no pool of Kestrel's is one
            segments.Add(MemoryMarshal.TryGetArray(memory, out var segment) ? segment : memory.ToArray());
        }

        return segments;
    }
}
