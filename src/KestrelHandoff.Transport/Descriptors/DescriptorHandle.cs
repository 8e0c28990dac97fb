using System.Net.Sockets;
using KestrelHandoff.Transport.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelHandoff.Transport;

/// <summary>A descriptor received from another process. It is owned: disposing closes it, unless it was taken before.</summary>
/// <remarks>
/// A received descriptor is the sender's open file itself, not a copy: the file offset, O_NONBLOCK and a socket's state are
/// shared with the sender. It is close-on-exec from the start.
/// </remarks>
public sealed class DescriptorHandle : SafeHandleMinusOneIsInvalid
{
    private int _owned = 1;
    private DescriptorKind? _kind;

    internal DescriptorHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    /// <summary>What the descriptor is, as the kernel says when first asked.</summary>
    /// <exception cref="ObjectDisposedException">It was closed or taken before it was first asked.</exception>
    public DescriptorKind Kind => _kind ??= Libc.KindOf(this);

    /// <summary>Hands the descriptor over as a file, for <see cref="FileStream"/> and <see cref="RandomAccess"/>.</summary>
    /// <returns>The new owner; this object has nothing to close any more.</returns>
    /// <exception cref="ObjectDisposedException">It was closed or taken before.</exception>
    public SafeFileHandle TakeFileHandle() => new(Take(), ownsHandle: true);

    /// <summary>Hands the descriptor over as a socket, for <see cref="Socket(SafeSocketHandle)"/>.</summary>
    /// <returns>The new owner; this object has nothing to close any more.</returns>
    /// <exception cref="InvalidOperationException">It is no socket. It stays owned by this object.</exception>
    /// <exception cref="ObjectDisposedException">It was closed or taken before.</exception>
    public SafeSocketHandle TakeSocketHandle()
    {
        ObjectDisposedException.ThrowIf(IsClosed, this);
        if (Kind is not (DescriptorKind.Socket or DescriptorKind.ListeningSocket))
        {
            throw new InvalidOperationException($"Descriptor {handle} is no socket but: {Kind}. Use {nameof(TakeFileHandle)}.");
        }

        return new SafeSocketHandle(Take(), ownsHandle: true);
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Interlocked.Exchange(ref _owned, 0) == 0 || Libc.Close((int)handle);

    private nint Take()
    {
        // The exchange decides between two takers, and between a taker and a disposer.
        ObjectDisposedException.ThrowIf(Interlocked.Exchange(ref _owned, 0) == 0, this);
        var descriptor = handle;
        SetHandleAsInvalid();
        return descriptor;
    }
}
