using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport;

/// <summary>The two halves of a handoff at its smallest: one process opens a file, another one reads it.</summary>
internal static class Relay
{
    /// <summary>Connects, and sends the text with the opened files in one message.</summary>
    public static async Task SendAsync(string socketPath, string text, FileInfo[] files, CancellationToken cancel)
    {
        var opened = files.Select(file => File.OpenHandle(file.FullName)).ToArray();
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(EndPointOf(socketPath), cancel);

        await socket.SendDescriptorsAsync(Encoding.UTF8.GetBytes(text), opened, cancel);

        // These are our own descriptors; those that were sent are the receiver's to close.
        foreach (var file in opened)
        {
            file.Dispose();
        }
    }

    /// <summary>Listens, and prints what comes: the text, how many descriptors came with it, and what is in each of them.</summary>
    public static async Task ReceiveAsync(string socketPath, int senders, CancellationToken cancel)
    {
        // Disposing the socket that was bound deletes the socket file.
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(EndPointOf(socketPath));
        listener.Listen();
        Console.Error.WriteLine($"Listening on {socketPath}");

        var buffer = new byte[64 * 1024];
        for (; senders > 0; senders--)
        {
            using var socket = await listener.AcceptAsync(cancel);
            using var received = await socket.ReceiveDescriptorsAsync(buffer, cancellationToken: cancel);

            Console.WriteLine(Encoding.UTF8.GetString(buffer, 0, received.BytesReceived));
            Console.WriteLine(received.Count);
            foreach (var descriptor in received)
            {
                Console.WriteLine(await ReadAsync(descriptor, cancel));
            }
        }
    }

    private static async Task<string> ReadAsync(DescriptorHandle descriptor, CancellationToken cancel)
    {
        if (descriptor.Kind is not (DescriptorKind.File or DescriptorKind.Pipe))
        {
            return $"({descriptor.Kind})";
        }

        using var file = new FileStream(descriptor.TakeFileHandle(), FileAccess.Read);
        if (file.CanSeek)
        {
            file.Position = 0; // the sender may have read already, and its place in the file came along
        }

        using var reader = new StreamReader(file);
        return (await reader.ReadToEndAsync(cancel)).TrimEnd('\n');
    }

    private static UnixDomainSocketEndPoint EndPointOf(string path) => Encoding.UTF8.GetByteCount(path) is > 0 and <= 107
        ? new UnixDomainSocketEndPoint(path)
        : throw new ArgumentException($"The socket path must have 1 to 107 bytes, but is '{path}'.");
}
