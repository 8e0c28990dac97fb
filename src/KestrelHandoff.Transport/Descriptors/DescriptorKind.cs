namespace KestrelHandoff.Transport;

/// <summary>What a received descriptor is, by what the kernel says about it and not by what the sender says.</summary>
public enum DescriptorKind
{
    /// <summary>None of the others: a device, an epoll instance, a pidfd and the like.</summary>
    Other,

    /// <summary>A regular file, memfd_create(2) included.</summary>
    File,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>One end of a pipe(7) or FIFO.</summary>
    Pipe,

    /// <summary>A socket of any family that does not listen.</summary>
    Socket,

    /// <summary>A socket that listens (SO_ACCEPTCONN of socket(7)): connections can be accepted from it.</summary>
    ListeningSocket,
}
