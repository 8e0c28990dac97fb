using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

// sendmsg(2) and recvmsg(2) with descriptors as control messages: unix(7), cmsg(3).
internal static unsafe partial class Libc
{
    /// <summary>The most descriptors one message carries; the kernel refuses more (SCM_MAX_FD, unix(7)).</summary>
    public const int MaxDescriptors = 253;

    /// <summary>What <see cref="Send"/> and <see cref="Receive"/> return when the call would have to wait.</summary>
    public const int WouldBlock = -1;

    private const int MsgControlTruncated = 0x8, MsgTruncated = 0x20, MsgDontWait = 0x40, MsgNoSignal = 0x4000; // linux/socket.h
    private const int MsgCloseOnExec = 0x40000000;
    private const int ScmRights = 1, ScmPidFd = 4;

    // Room for 253 descriptors (1,032 bytes), credentials (32), a pidfd (24) and a security label, whatever the socket is set to
    // deliver: descriptors a peer hides behind a full buffer would be lost, and the batch with them.
    private const int ControlSize = 2048;

    /// <summary>Sends <paramref name="payload"/> and the descriptors in one message, without waiting.</summary>
    /// <returns>The count of bytes sent, the descriptors went with the first of them; or <see cref="WouldBlock"/>.</returns>
    public static int Send(SafeSocketHandle socket, ReadOnlySpan<byte> payload, ReadOnlySpan<SafeHandle> descriptors)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors, nameof(descriptors));
        var dataLength = descriptors.Length * sizeof(int);
        var control = stackalloc nuint[ControlSize / sizeof(nuint)];
        var header = (ControlHeader*)control;
        *header = new() { Length = (nuint)(sizeof(ControlHeader) + dataLength), Level = SolSocket, Type = ScmRights };
        var numbers = (int*)(header + 1);
        var held = 0;
        try
        {
            foreach (var descriptor in descriptors)
            {
                var added = false;
                descriptor.DangerousAddRef(ref added);
                numbers[held++] = (int)descriptor.DangerousGetHandle();
            }

            return SendOnce(socket, payload, control, held > 0 ? Align(sizeof(ControlHeader) + dataLength) : 0);
        }
        finally
        {
            while (held > 0)
            {
                descriptors[--held].DangerousRelease();
            }
        }
    }

    /// <summary>Receives once, without waiting, and owns every descriptor that came, close-on-exec.</summary>
    /// <param name="socket">The socket to receive from.</param>
    /// <param name="buffer">Takes the bytes.</param>
    /// <param name="descriptors">Takes the descriptors, also when the message turns out to be truncated.</param>
    /// <param name="truncated">What the kernel dropped.</param>
    /// <returns>The count of bytes received, 0 at the end; or <see cref="WouldBlock"/>.</returns>
    public static int Receive(SafeSocketHandle socket, Span<byte> buffer, List<DescriptorHandle> descriptors, out Truncation truncated)
    {
        var control = stackalloc nuint[ControlSize / sizeof(nuint)];
        fixed (byte* bytes = buffer)
        {
            var part = new IoVector { Base = bytes, Length = (nuint)buffer.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlLength = ControlSize };
            nint received;
            while ((received = ReceiveMessage(socket, &message, MsgDontWait | MsgCloseOnExec)) < 0 && !MustWait("recvmsg"))
            {
            }

            truncated = Truncation.None;
            if (received >= 0)
            {
                Adopt(new ReadOnlySpan<byte>(control, (int)message.ControlLength), descriptors);
                truncated = (message.Flags & MsgControlTruncated) != 0 ? Truncation.Descriptors
                    : (message.Flags & MsgTruncated) != 0 ? Truncation.Bytes
                    : Truncation.None;
            }

            return (int)received;
        }
    }

    /// <summary>Takes ownership of every descriptor in a buffer of control messages.</summary>
    internal static void Adopt(ReadOnlySpan<byte> control, List<DescriptorHandle> descriptors)
    {
        while (control.Length >= sizeof(ControlHeader))
        {
            var header = MemoryMarshal.Read<ControlHeader>(control);
            var length = (int)nuint.Min(header.Length, (nuint)control.Length);
            if (length < sizeof(ControlHeader))
            {
                return;
            }

            if (header.Level == SolSocket && header.Type is ScmRights or ScmPidFd)
            {
                foreach (var number in MemoryMarshal.Cast<byte, int>(control[sizeof(ControlHeader)..length]))
                {
                    var descriptor = new DescriptorHandle(number);
                    if (header.Type == ScmRights)
                    {
                        descriptors.Add(descriptor);
                    }
                    else
                    {
                        descriptor.Dispose(); // SO_PASSPIDFD gives a descriptor nobody sent
                    }
                }
            }

            control = control[Math.Min(Align(length), control.Length)..];
        }
    }

    private static int SendOnce(SafeSocketHandle socket, ReadOnlySpan<byte> payload, void* control, int controlLength)
    {
        fixed (byte* bytes = payload)
        {
            var part = new IoVector { Base = bytes, Length = (nuint)payload.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlLength = (nuint)controlLength };
            nint sent;
            while ((sent = SendMessage(socket, &message, MsgDontWait | MsgNoSignal)) < 0 && !MustWait("sendmsg"))
            {
            }

            return (int)sent;
        }
    }

    // After a failed call: true when it would have to wait, false when a signal came between and it must be repeated.
    private static bool MustWait(string call)
    {
        if (Marshal.GetLastPInvokeError() == EAgain)
        {
            return true;
        }

        ThrowUnlessInterrupted(call);
        return false;
    }

    // as the kernel's CMSG_ALIGN
    private static int Align(int length) => (length + sizeof(nuint) - 1) & ~(sizeof(nuint) - 1);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessage(SafeSocketHandle socket, MessageHeader* message, int flags);

    /// <summary>What did not fit into a receive.</summary>
    public enum Truncation
    {
        None,
        Bytes,
        Descriptors,
    }

    // struct msghdr, iovec and cmsghdr; musl's narrower lengths have padding where the upper halves of these are
    private struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Parts;
        public nuint PartCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    private struct IoVector
    {
        public void* Base;
        public nuint Length;
    }

    private struct ControlHeader
    {
        public nuint Length;
        public int Level, Type;
    }
}
