using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Interop;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>Binds a new listener the way Kestrel's own transport does.</summary>
internal static class ListenSocket
{
    /// <summary>A Socket that bound a path deletes it when it is disposed or finalized, whoever listens there by then: these never are.</summary>
    private static readonly ConcurrentBag<Socket> Binders = [];

    /// <exception cref="AddressInUseException">Somebody else listens there.</exception>
    /// <exception cref="SocketException">Any other fault of bind(2) or listen(2).</exception>
    public static ListenerDescriptor Bind(EndPoint endPoint, string name, TransportSettings settings)
    {
        try
        {
            return endPoint switch
            {
                FileHandleEndPoint handle => BindHandle(handle, name, settings),
                UnixDomainSocketEndPoint unix when settings.CreateBoundListenSocket is null => BindUnix(unix, name, settings),
                _ => BindSocket(endPoint, name, settings),
            };
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(e.Message, e);
        }
    }

    private static ListenerDescriptor BindSocket(EndPoint endPoint, string name, TransportSettings settings)
    {
        var socket = settings.CreateBoundListenSocket?.Invoke(endPoint) ?? CreateBound(endPoint);
        ListenerDescriptor descriptor;
        try
        {
            socket.Listen(settings.Backlog);
            descriptor = ListenerDescriptor.Bound(name, Libc.Duplicate(socket.SafeHandle));
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        if (endPoint is UnixDomainSocketEndPoint)
        {
            descriptor.OwnedPath = descriptor.Path;
            Binders.Add(socket);
        }
        else
        {
            socket.Dispose(); // it never waited for anything, so this is a plain close(2)
        }

        return descriptor;
    }

    private static Socket CreateBound(EndPoint endPoint)
    {
        // Tcp by name: only then does Socket.Bind set SO_REUSEADDR (pal_networking.c, SystemNative_Bind), and only with that can an
        // instance that comes back at once bind a port whose last connections are in TIME_WAIT.
        var protocol = endPoint is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified;
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, protocol);
        try
        {
            if (endPoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(endPoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static ListenerDescriptor BindUnix(UnixDomainSocketEndPoint endPoint, string name, TransportSettings settings)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        // Not Socket.Bind: it would remember the path and delete it with the Socket (see Binders).
        var address = endPoint.Serialize();
        Libc.Bind(socket.SafeHandle, address.Buffer.Span[..address.Size]);
        try
        {
            socket.Listen(settings.Backlog);
            var descriptor = ListenerDescriptor.Bound(name, Libc.Duplicate(socket.SafeHandle));
            descriptor.OwnedPath = descriptor.Path;
            return descriptor;
        }
        catch when (ListenerDescriptor.PathOf(endPoint) is { } path)
        {
            File.Delete(path); // else nobody could bind it any more
            throw;
        }
    }

    private static ListenerDescriptor BindHandle(FileHandleEndPoint endPoint, string name, TransportSettings settings)
    {
        using var given = new SafeSocketHandle((nint)endPoint.FileHandle, ownsHandle: false);
        using var socket = new Socket(given);
        if (socket.SocketType != SocketType.Stream)
        {
            throw new NotSupportedException($"Descriptor {endPoint.FileHandle} is not a stream socket; only those can be listened on.");
        }

        socket.Listen(settings.Backlog);

        // systemd passes descriptors without it, and a launched successor would inherit one that nobody accepts from.
        Libc.SetCloseOnExec(given);
        return ListenerDescriptor.Bound(name, Libc.Duplicate(given));
    }
}
