using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport;

/// <summary>Waits until a socket has room to write, which <see cref="Socket"/> cannot do without writing.</summary>
/// <remarks>One epoll and one background thread for the process, made at the first wait; the thread sleeps while nobody waits.</remarks>
internal sealed class WriteReadiness
{
    // Nothing tells when a Socket is disposed, and the duplicate outlives it: so waiting sockets are looked at this often.
    private static readonly TimeSpan DisposedCheck = TimeSpan.FromMilliseconds(100);

    private static WriteReadiness? _instance;
    private static object? _making;

    private readonly SafeHandle _epoll = Libc.CreateEpoll();
    private readonly Dictionary<ulong, Waiter> _waiters = []; // also the lock
    private ulong _lastId;

    private WriteReadiness() => new Thread(Run) { IsBackground = true, Name = "Handoff write" }.UnsafeStart();

    /// <summary>Completes when the socket may have room to write, or is broken: try again to find out which.</summary>
    /// <exception cref="SocketException"><see cref="SocketError.OperationAborted"/>: the socket was disposed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task WaitAsync(Socket socket, CancellationToken cancellationToken)
    {
        // Not a Lazy, which would keep a failure (no descriptor free just now) for ever.
        var readiness = LazyInitializer.EnsureInitialized(ref _instance, ref _making, static () => new WriteReadiness());
        var (id, task) = readiness.Watch(socket.SafeHandle);
        await using var registration = cancellationToken.UnsafeRegister(
            (_, token) => readiness.End(id, waiter => waiter.TrySetCanceled(token)), state: null);
        await task;
    }

    private (ulong Id, Task Task) Watch(SafeSocketHandle socket)
    {
        // A duplicate, because the number of the socket itself may be closed and reused while epoll still knows it.
        var waiter = new Waiter(socket, new DescriptorHandle(Libc.Duplicate(socket)));
        lock (_waiters)
        {
            var id = ++_lastId;
            try
            {
                Libc.WatchForWrite(_epoll, waiter.Duplicate, id);
            }
            catch
            {
                waiter.Duplicate.Dispose();
                throw;
            }

            _waiters.Add(id, waiter);
            Monitor.Pulse(_waiters);
            return (id, waiter.Task);
        }
    }

    // Only the caller that finds the id in the table ends the wait, so the duplicate is closed once.
    private void End(ulong id, Action<Waiter> complete)
    {
        Waiter? waiter;
        lock (_waiters)
        {
            if (!_waiters.Remove(id, out waiter))
            {
                return;
            }

            Libc.Unwatch(_epoll, waiter.Duplicate);
            waiter.Duplicate.Dispose();
        }

        complete(waiter);
    }

    private void Run()
    {
        Span<Libc.ReadyEvent> ready = stackalloc Libc.ReadyEvent[64];
        while (true)
        {
            ulong[] disposed;
            lock (_waiters)
            {
                while (_waiters.Count == 0)
                {
                    Monitor.Wait(_waiters);
                }

                disposed = [.. _waiters.Where(pair => pair.Value.Socket.IsClosed).Select(pair => pair.Key)];
            }

            foreach (var id in disposed)
            {
                End(id, waiter => waiter.TrySetException(new SocketException((int)SocketError.OperationAborted)));
            }

            var count = Libc.WaitForEvents(_epoll, ready, DisposedCheck);
            foreach (var (id, _) in ready[..count])
            {
                End(id, waiter => waiter.TrySetResult());
            }
        }
    }

    private sealed class Waiter(SafeSocketHandle socket, DescriptorHandle duplicate)
        : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public SafeSocketHandle Socket { get; } = socket;

        public DescriptorHandle Duplicate { get; } = duplicate;
    }
}
