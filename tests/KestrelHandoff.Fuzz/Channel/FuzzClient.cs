using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Fuzz.Channel;

/// <summary>Plays a session, and checks what the server says to it.</summary>
internal sealed class FuzzClient(string path) : IDisposable
{
    private const int Hung = 60_000; // milliseconds: a guard, never a delay

    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private static readonly string[] KnownAborts =
        ["The peer closed the control connection", "The peer closed the connection in the middle", "The peer gave up: ", "The peer refused ("];

    private readonly SafeHandle _file = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public void Play(Session session)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = Hung };
        socket.Connect(new UnixDomainSocketEndPoint(path));
        try
        {
            foreach (var step in session.Steps)
            {
                Send(socket, step);
            }

            if (!session.Abrupt)
            {
                socket.Shutdown(SocketShutdown.Send);
            }
        }
        catch (SocketException e) when (IsGone(e) && session.Expected is null)
        {
            // refused before the last byte was sent: the answer is there all the same
        }

        if (!session.Abrupt)
        {
            CheckAnswer(session, ReadToEnd(socket));
        }
    }

    public void Dispose()
    {
        _file.Dispose();
        _socket.Dispose();
    }

    private void Send(Socket socket, Step step)
    {
        ReadOnlySpan<byte> bytes = step.Bytes;
        for (var left = step.Descriptors; !bytes.IsEmpty;)
        {
            var count = Math.Min(left, Libc.MaxDescriptors);
            left -= count;
            SafeHandle[] descriptors = [.. Enumerable.Range(0, count).Select(number => number % 2 == 0 ? _file : _socket.SafeHandle)];
            bytes = bytes[SendSome(socket, left > 0 ? bytes[..1] : bytes, descriptors)..];
        }
    }

    private static int SendSome(Socket socket, ReadOnlySpan<byte> bytes, SafeHandle[] descriptors)
    {
        var clock = Stopwatch.StartNew();
        int sent;
        while ((sent = Libc.Send(socket.SafeHandle, bytes, descriptors)) == Libc.WouldBlock)
        {
            // False also at once, when the server has hung up and the queue is still full: only the clock tells.
            if (!socket.Poll(Look, SelectMode.SelectWrite) && clock.ElapsedMilliseconds > Hung)
            {
                throw new FuzzFailure("The server has stopped reading.");
            }
        }

        return sent;
    }

    private static byte[] ReadToEnd(Socket socket)
    {
        var answer = new MemoryStream();
        var buffer = new byte[8192];
        try
        {
            for (int count; (count = socket.Receive(buffer)) > 0;)
            {
                answer.Write(buffer, 0, count);
            }
        }
        catch (SocketException e) when (IsGone(e))
        {
            // the server closed without reading the rest of what we sent
        }
        catch (SocketException e)
        {
            throw new FuzzFailure($"The server neither answers nor closes: {e.SocketErrorCode}.");
        }

        return answer.ToArray();
    }

    private static void CheckAnswer(Session session, byte[] answer)
    {
        if (answer.Length < ControlProtocol.HeaderLength)
        {
            throw new FuzzFailure($"The server closed without a word ({answer.Length} bytes).");
        }

        var length = MessageCodec.DecodeLength(answer);
        if (ControlProtocol.HeaderLength + length != answer.Length)
        {
            throw new FuzzFailure($"The server's last word is not one message: {Convert.ToHexString(answer)}");
        }

        var message = MessageCodec.Decode(answer.AsSpan(ControlProtocol.HeaderLength));
        var isFine = session.Expected is { } expected
            ? message == new Migrated(expected)
            : message is Migrated or Refuse || (message is Abort abort && KnownAborts.Any(known => abort.Detail.StartsWith(known, StringComparison.Ordinal)));
        if (!isFine)
        {
            throw new FuzzFailure($"The server's answer is wrong: {message}");
        }
    }

    private static bool IsGone(SocketException e) =>
        e.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown;
}
