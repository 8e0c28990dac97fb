using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Listeners;

namespace KestrelHandoff.Transport.Control;

/// <summary>The control socket's listener and its path. Exactly one instance has it; it moves when a handoff is confirmed.</summary>
internal sealed class ControlSocket : IDisposable
{
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode WritableByOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;
    private const int Backlog = 16;

    private readonly Socket _socket;

    private ControlSocket(string path, ListenerDescriptor listener)
    {
        (Path, Listener) = (path, listener);
        _socket = listener.CreateSocket();
    }

    public string Path { get; }

    public ListenerDescriptor Listener { get; }

    /// <summary>Makes the directory if it is missing. Who can write to it can put a socket of his own in place of ours.</summary>
    /// <exception cref="IOException">It is not private enough.</exception>
    public static void PrepareDirectory(string path)
    {
        var directory = System.IO.Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(directory, OwnerOnly);
        var (owner, mode, _, isLink) = Libc.Status(directory);
        if (isLink)
        {
            throw new IOException($"The directory '{directory}' of the control socket is a symbolic link, which may lead elsewhere tomorrow: name the directory itself.");
        }

        var user = Libc.EffectiveUser();
        if (owner != user && owner != 0)
        {
            throw new IOException(
                $"The directory '{directory}' of the control socket belongs to uid {owner}, but this process runs as uid {user}: use a directory of its own.");
        }

        if ((mode & WritableByOthers) != 0)
        {
            throw new IOException(
                $"The directory '{directory}' of the control socket can be written by others (mode {Convert.ToString((int)mode, 8)}): chmod 0700 it, or use another.");
        }
    }

    /// <summary>Makes the socket at <paramref name="path"/>, in place of one that nobody listens on any more.</summary>
    /// <exception cref="IOException">The directory is not private enough, or the path too long.</exception>
    public static ControlSocket Bind(string path)
    {
        PrepareDirectory(path);
        var directory = System.IO.Path.GetDirectoryName(path)!;

        // Bound under a name of its own and then renamed: there is no moment at which the path is missing, or open to others.
        // The name is short because both must fit sun_path, and random because instances in containers may all have the same process id.
        var unfinished = System.IO.Path.Combine(directory, $".{Convert.ToHexStringLower(Libc.RandomBytes(2))}");
        CheckLength(path, path);
        CheckLength(path, unfinished);
        ListenerDescriptor? listener = null;
        try
        {
            if (File.Exists(path) && !Libc.Status(path).IsSocket)
            {
                throw new IOException($"'{path}' is to be the control socket, but there is a file of another kind: use another path, or remove it.");
            }

            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            var address = new UnixDomainSocketEndPoint(unfinished).Serialize();
            Libc.Bind(socket.SafeHandle, address.Buffer.Span[..address.Size]);
            File.SetUnixFileMode(unfinished, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen(Backlog);
            listener = ListenerDescriptor.Bound("control", Libc.Duplicate(socket.SafeHandle));
            File.Move(unfinished, path, overwrite: true);
            listener.OwnedPath = path;
            return new ControlSocket(path, listener);
        }
        catch (Exception e)
        {
            listener?.Dispose();
            File.Delete(unfinished);
            if (e is SocketException)
            {
                throw new IOException($"The control socket '{path}' cannot be made: {e.Message}", e);
            }

            throw;
        }
    }

    /// <summary>Takes over the listener that a predecessor sent, and with it the path.</summary>
    public static ControlSocket Adopt(string path, SafeSocketHandle received)
    {
        var listener = ListenerDescriptor.Adopt("control", received);
        if (listener.LocalEndPoint is not UnixDomainSocketEndPoint)
        {
            listener.Dispose();
            throw new InvalidDataException("The descriptor sent as the control socket is not a Unix socket.");
        }

        listener.OwnedPath = path;
        return new ControlSocket(path, listener);
    }

    /// <summary>Connects to the instance that serves at <paramref name="path"/>.</summary>
    /// <exception cref="SocketException">Nobody listens there, or nobody may.</exception>
    /// <exception cref="IOException">Another user listens there.</exception>
    public static async Task<ControlChannel> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            var channel = new ControlChannel(socket);
            if (channel.Peer.UserId != Libc.EffectiveUser() && channel.Peer.UserId != 0)
            {
                // It would get our token, and we its listeners.
                throw new IOException(
                    $"uid {channel.Peer.UserId} listens at the control socket '{path}', but this process runs as uid {Libc.EffectiveUser()}: use a directory of its own.");
            }

            return channel;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task<ControlChannel> AcceptAsync(CancellationToken cancellationToken) => new(await _socket.AcceptAsync(cancellationToken));

    /// <summary>Closes this instance's copy; the path stays, for it is the successor's.</summary>
    public void Release()
    {
        Listener.OwnedPath = null;
        Dispose();
    }

    public void Dispose()
    {
        _socket.Dispose();
        Listener.Dispose();
    }

    private static void CheckLength(string path, string needed)
    {
        var length = Encoding.UTF8.GetByteCount(needed);
        if (length > SocketHandoffOptionsValidator.MaxPathBytes)
        {
            throw new IOException(
                $"The control socket '{path}' needs a path of {length} bytes ('{needed}'), but Unix sockets have at most "
                + $"{SocketHandoffOptionsValidator.MaxPathBytes}: use a shorter directory.");
        }
    }
}
