using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Transport.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelHandoff.Transport.Listeners;

/// <summary>The one owner of a listening descriptor. Sockets over it never own it: closing one of them must not touch what the other instance listens on.</summary>
internal sealed class ListenerDescriptor : SafeHandleMinusOneIsInvalid
{
    private FileIdentity? _owned;

    private ListenerDescriptor(nint descriptor, string name)
        : base(ownsHandle: true)
    {
        SetHandle(descriptor);
        Name = name;
        using var socket = CreateSocket();
        LocalEndPoint = socket.LocalEndPoint ?? new UnixDomainSocketEndPoint("\0");
    }

    /// <summary>See <see cref="ListenerName"/>.</summary>
    public string Name { get; set; }

    /// <summary>The name under which the predecessor offered it; null if it was bound here.</summary>
    public string? AdoptedFrom { get; private init; }

    /// <summary>What the kernel says it is bound to, whatever the label says.</summary>
    public EndPoint LocalEndPoint { get; }

    /// <summary>The path becomes this instance's with the confirmation.</summary>
    public bool InheritsPath { get; private init; }

    /// <summary>The file that goes when this instance closes the listener, if it is still the one that was there. Exactly one instance has it; it moves with the confirmation.</summary>
    public string? OwnedPath
    {
        get;
        set => (field, _owned) = (value, value is null ? null : Libc.IdentityOf(value));
    }

    /// <summary>Nobody has deleted the file, or put another in its place.</summary>
    public bool HasOwnedFile => OwnedPath is { } path && _owned is not null && Libc.IdentityOf(path) == _owned;

    /// <summary>The file that the listener is bound to, whoever owns it; null for IP and abstract addresses.</summary>
    public string? Path => PathOf(LocalEndPoint);

    /// <summary>The file that a listener is bound to by this address.</summary>
    public static string? PathOf(EndPoint endPoint) => endPoint is UnixDomainSocketEndPoint unix && unix.ToString() is [not ('@' or '\0'), ..] path ? path : null;

    /// <summary>Takes a descriptor of our own copy of a socket that was bound here.</summary>
    public static ListenerDescriptor Bound(string name, nint descriptor) => new(descriptor, name);

    /// <summary>Takes a descriptor that a predecessor sent, if the kernel agrees that it is a listening stream socket.</summary>
    /// <exception cref="InvalidDataException">It is not; the descriptor has been closed.</exception>
    public static ListenerDescriptor Adopt(string name, SafeSocketHandle received, bool inheritsPath = false)
    {
        using var socket = new Socket(received);
        if (socket.SocketType != SocketType.Stream || Libc.KindOf(received) != DescriptorKind.ListeningSocket)
        {
            throw new InvalidDataException($"The descriptor offered as '{name}' is not a listening stream socket.");
        }

        // A copy of our own under a fresh number: the runtime never takes a descriptor out of its epoll set, and the same
        // file under a number it has seen before would fail with EEXIST.
        var descriptor = new ListenerDescriptor(Libc.Duplicate(received), name) { AdoptedFrom = name, InheritsPath = inheritsPath };
        using var adopted = descriptor.CreateSocket();

        // An instance that closed its socket carelessly leaves SO_LINGER {1,0} on the shared listener, and every
        // connection accepted from it would inherit that and end with a reset.
        adopted.LingerState = new LingerOption(false, 0);
        return descriptor;
    }

    /// <summary>A socket that can be disposed at any time without a trace on the shared listener.</summary>
    public Socket CreateSocket() => new(new SafeSocketHandle(handle, ownsHandle: false));

    protected override bool ReleaseHandle()
    {
        try
        {
            if (HasOwnedFile)
            {
                File.Delete(OwnedPath!);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The directory is gone, or no longer ours to write. Thrown from here it would leave the listener open,
            // and in a finalizer end the process.
        }

        return Libc.Close((int)handle);
    }
}
