using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport;

/// <summary>Passes open descriptors between processes over a connected Unix socket (SCM_RIGHTS, unix(7)). Linux only.</summary>
/// <remarks>
/// Any program that speaks SCM_RIGHTS can be at the other end, such as Python's <c>socket.send_fds</c>. Waiting blocks no thread. Do not
/// mix these calls with <see cref="Socket.ReceiveAsync(Memory{byte}, CancellationToken)"/> and the like: they drop descriptors.
/// </remarks>
[SupportedOSPlatform("linux")]
public static class DescriptorSocketExtensions
{
    /// <summary>Sends bytes and, with the first of them, open descriptors. The sender keeps its own descriptors.</summary>
    /// <param name="socket">A connected Unix socket. Only one send may be running on it at a time.</param>
    /// <param name="payload">The bytes: at least one for each 253 descriptors begun.</param>
    /// <param name="descriptors">
    /// What to pass, in this order; none is allowed. None may be disposed before the send has ended. More than 253 (the kernel's
    /// SCM_MAX_FD) go in several messages: each but the last takes 253 and one byte of the payload, the last takes what is left of both.
    /// </param>
    /// <param name="cancellationToken">
    /// Ends the wait for room in the peer's queue. Part of the payload may have gone by then: the connection is of no more use.
    /// </param>
    /// <exception cref="ArgumentException">The payload is too short, a descriptor is invalid, or the socket is no Unix socket.</exception>
    /// <exception cref="ArgumentNullException">One of the arguments, or of the descriptors, is null.</exception>
    /// <exception cref="SocketException">
    /// As of <see cref="Socket.SendAsync(ReadOnlyMemory{byte}, CancellationToken)"/>; <see cref="SocketError.OperationAborted"/> when the
    /// socket is disposed meanwhile; <see cref="SocketError.TooManyOpenSockets"/> when too many descriptors are in flight, or this process may
    /// open none to wait with.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The socket or a descriptor is closed.</exception>
    /// <exception cref="PlatformNotSupportedException">Not on Linux.</exception>
    public static ValueTask SendDescriptorsAsync(
        this Socket socket,
        ReadOnlyMemory<byte> payload,
        IReadOnlyList<SafeHandle> descriptors,
        CancellationToken cancellationToken = default)
    {
        ThrowUnlessUnix(socket);
        ArgumentNullException.ThrowIfNull(descriptors);
        SafeHandle[] batch = [.. descriptors];
        foreach (var descriptor in batch)
        {
            ArgumentNullException.ThrowIfNull(descriptor, nameof(descriptors));
            ObjectDisposedException.ThrowIf(descriptor.IsClosed, descriptor);
            if (descriptor.IsInvalid)
            {
                throw new ArgumentException("One of the descriptors is invalid (-1).", nameof(descriptors));
            }
        }

        var messages = (batch.Length + Libc.MaxDescriptors - 1) / Libc.MaxDescriptors;
        if (payload.Length < messages)
        {
            throw new ArgumentException(
                $"{batch.Length} descriptors go in {messages} message(s), and each needs a byte to travel with, but the payload has " +
                $"{payload.Length}. Send at least {messages} byte(s).",
                nameof(payload));
        }

        return SendAsync(socket, payload, batch, cancellationToken);
    }

    /// <summary>Receives once: bytes, and the descriptors that came with them, each owned and close-on-exec from the start.</summary>
    /// <param name="socket">A connected Unix socket.</param>
    /// <param name="buffer">Takes the bytes; at least one.</param>
    /// <param name="maxDescriptors">The most descriptors to accept, 0 to 253. The default is 253, the most one message carries.</param>
    /// <param name="cancellationToken">Ends the wait. Nothing that arrived is lost: the next receive has it.</param>
    /// <returns>
    /// What came; dispose it. A stream keeps no message boundaries: bytes sent before those that carry the descriptors may come
    /// in the same receive, bytes sent after them never do.
    /// </returns>
    /// <exception cref="IOException">
    /// More descriptors came than <paramref name="maxDescriptors"/> or than this process may open, or a message was longer than the buffer.
    /// All that was received is closed, and the bytes are gone: close the connection.
    /// </exception>
    /// <exception cref="ArgumentException">The buffer is empty or the socket is no Unix socket.</exception>
    /// <exception cref="ArgumentNullException">The socket is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxDescriptors"/> is not 0 to 253.</exception>
    /// <exception cref="SocketException">As of <see cref="Socket.ReceiveAsync(Memory{byte}, CancellationToken)"/>.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The socket is disposed.</exception>
    /// <exception cref="PlatformNotSupportedException">Not on Linux.</exception>
    public static ValueTask<ReceivedDescriptors> ReceiveDescriptorsAsync(
        this Socket socket,
        Memory<byte> buffer,
        int maxDescriptors = Libc.MaxDescriptors,
        CancellationToken cancellationToken = default)
    {
        ThrowUnlessUnix(socket);
        ArgumentOutOfRangeException.ThrowIfNegative(maxDescriptors);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxDescriptors, Libc.MaxDescriptors);
        if (buffer.IsEmpty)
        {
            throw new ArgumentException("The buffer is empty; give it room for at least one byte.", nameof(buffer));
        }

        return ReceiveAsync(socket, buffer, maxDescriptors, cancellationToken);
    }

    /// <summary>Who is at the other end, as the kernel noted it when the two connected; the peer cannot forge it.</summary>
    /// <param name="socket">A connected Unix socket.</param>
    /// <exception cref="ArgumentException">The socket is no Unix socket.</exception>
    /// <exception cref="SocketException"><see cref="SocketError.NotConnected"/>: nobody is at the other end.</exception>
    /// <exception cref="ObjectDisposedException">The socket is disposed.</exception>
    /// <exception cref="PlatformNotSupportedException">Not on Linux.</exception>
    public static PeerCredentials GetPeerCredentials(this Socket socket)
    {
        const int SolSocket = 1, SoPeerCred = 17; // asm-generic/socket.h
        ThrowUnlessUnix(socket);
        Span<byte> credentials = stackalloc byte[12]; // struct ucred
        socket.GetRawSocketOption(SolSocket, SoPeerCred, credentials);
        var ids = MemoryMarshal.Cast<byte, uint>(credentials);

        // Where there is no peer the kernel answers with pid 0, uid -1 and gid -1.
        return ids[1] != uint.MaxValue
            ? new PeerCredentials((int)ids[0], ids[1], ids[2])
            : throw new SocketException((int)SocketError.NotConnected);
    }

    private static async ValueTask SendAsync(
        Socket socket, ReadOnlyMemory<byte> payload, ReadOnlyMemory<SafeHandle> descriptors, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        while (!descriptors.IsEmpty)
        {
            var last = descriptors.Length <= Libc.MaxDescriptors;
            var batch = last ? descriptors : descriptors[..Libc.MaxDescriptors];
            int sent;
            while ((sent = Libc.Send(socket.SafeHandle, (last ? payload : payload[..1]).Span, batch.Span)) == Libc.WouldBlock)
            {
                await WriteReadiness.WaitAsync(socket, cancellationToken);
            }

            descriptors = descriptors[batch.Length..];
            payload = payload[sent..];
        }

        // The descriptors went with the first byte, so the rest is an ordinary send: they must not go twice.
        while (!payload.IsEmpty)
        {
            payload = payload[await socket.SendAsync(payload, cancellationToken)..];
        }
    }

    private static async ValueTask<ReceivedDescriptors> ReceiveAsync(
        Socket socket, Memory<byte> buffer, int maxDescriptors, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var descriptors = new List<DescriptorHandle>();
        int received;
        Libc.Truncation truncated;
        while ((received = Libc.Receive(socket.SafeHandle, buffer.Span, descriptors, out truncated)) == Libc.WouldBlock)
        {
            // An empty receive only peeks, so no descriptor is dropped. It may complete although nothing came.
            await socket.ReceiveAsync(Memory<byte>.Empty, cancellationToken);
        }

        var result = new ReceivedDescriptors(received, descriptors);
        var error = truncated switch
        {
            Libc.Truncation.Descriptors =>
                $"The kernel could deliver only {result.Count} of the descriptors the peer sent. This process may have " +
                $"{Libc.DescriptorLimit()} open: raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=), or have fewer sent.",
            Libc.Truncation.Bytes => $"The message is longer than the buffer of {buffer.Length} bytes: use a larger buffer.",
            _ when result.Count > maxDescriptors =>
                $"The peer sent {result.Count} descriptors, but at most {maxDescriptors} are accepted: raise maxDescriptors, " +
                "or have fewer sent.",
            _ => null,
        };
        if (error is not null)
        {
            result.Dispose();
            throw new IOException(error + " All that was received has been closed; close the connection.");
        }

        return result;
    }

    private static void ThrowUnlessUnix(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("Descriptors are passed on Linux only.");
        }

        ObjectDisposedException.ThrowIf(socket.SafeHandle.IsClosed, socket);
        if (socket.AddressFamily != AddressFamily.Unix)
        {
            throw new ArgumentException(
                $"Descriptors and credentials pass over Unix sockets only, but this one is {socket.AddressFamily}.", nameof(socket));
        }
    }
}
