using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using KestrelHandoff.Transport;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>Stands between the two instances of a handoff and does something to one message: the faults come from outside, none is built into the product.</summary>
internal sealed class ControlProxy : IAsyncDisposable
{
    private const int HeaderLength = 4, MaxDescriptors = 253; // docs/protocol.md

    private readonly string _path;
    private readonly string _message;
    private readonly Func<byte[], Task<byte[]?>> _fault;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _running;

    /// <param name="path">The control socket, whose place it takes until the successor has come.</param>
    /// <param name="message">The type of the message, the first of which is met by the fault.</param>
    /// <param name="fault">What to pass on in its place; empty: nothing, as if it had never been said; null: nothing, and both ends are closed; half of it: the same after that half.</param>
    public ControlProxy(string path, string message, Func<byte[], Task<byte[]?>> fault)
    {
        (_path, _message, _fault) = (path, message, fault);
        _listener.Bind(new UnixDomainSocketEndPoint(path + ".proxy")); // not at the path itself: .NET deletes what a socket bound, whoever has it by then
        _listener.Listen();
        TestLibc.Rename(path, Aside);
        TestLibc.Rename(path + ".proxy", path);
        _running = RunAsync();
    }

    /// <summary>Before a message is passed on: its type.</summary>
    public event Action<string?>? Passing;

    /// <summary>The fault has happened.</summary>
    public Task Reached => _reached.Task;

    private string Aside => _path + ".aside";

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        try
        {
            await _running.OrHang(); // to the end of both sides: neither leaves its own open
        }
        catch (SocketException)
        {
            // nobody came
        }
    }

    private async Task RunAsync()
    {
        using var successor = await _listener.AcceptAsync();
        using var predecessor = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await predecessor.ConnectAsync(new UnixDomainSocketEndPoint(Aside));

        TestLibc.Rename(Aside, _path); // as without a proxy: the successor may look whether its predecessor is alive
        Task<bool>[] directions = [PumpAsync(successor, predecessor), PumpAsync(predecessor, successor)];
        if (!await await Task.WhenAny(directions))
        {
            await Task.WhenAll(directions); // one side has ended: what the other has said by then still arrives, as without a proxy
        }
    }

    /// <returns>True if the fault was to cut the line.</returns>
    private async Task<bool> PumpAsync(Socket from, Socket to)
    {
        try
        {
            return await PassOnAsync(from, to);
        }
        catch (SocketException)
        {
            return false; // one of them is gone
        }
        catch (Exception e)
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"The proxy at {_message}: {e}"); // shown if the test fails
            throw;
        }
        finally
        {
            Quietly(() => to.Shutdown(SocketShutdown.Send));
            Quietly(() => from.Shutdown(SocketShutdown.Receive)); // who writes there from now on is told
        }
    }

    private async Task<bool> PassOnAsync(Socket from, Socket to)
    {
        while (await ReceiveAsync(from) is var (frame, descriptors) && frame is not null)
        {
            var passedOn = frame;
            var type = TypeOf(frame);
            Passing?.Invoke(type);
            if (!_reached.Task.IsCompleted && type == _message)
            {
                passedOn = await _fault(frame);
                _reached.SetResult();
            }

            if (passedOn is { Length: > 0 })
            {
                await to.SendDescriptorsAsync(passedOn, descriptors);
            }

            foreach (var descriptor in descriptors)
            {
                descriptor.Dispose();
            }

            if (passedOn is null || (passedOn.Length > 0 && passedOn.Length < frame.Length))
            {
                return true;
            }
        }

        return false;
    }

    private static void Quietly(Action action)
    {
        try
        {
            action();
        }
        catch (SocketException)
        {
            // it has gone already
        }
    }

    private static async Task<(byte[]? Frame, List<SafeHandle> Descriptors)> ReceiveAsync(Socket socket)
    {
        var descriptors = new List<SafeHandle>();
        var header = await FillAsync(socket, HeaderLength, descriptors);
        if (header is null || await FillAsync(socket, BinaryPrimitives.ReadInt32BigEndian(header), descriptors) is not { } body)
        {
            return (null, descriptors);
        }

        return ([.. header, .. body], descriptors);
    }

    private static async Task<byte[]?> FillAsync(Socket socket, int length, List<SafeHandle> descriptors)
    {
        var buffer = new byte[length];
        for (var filled = 0; filled < length;)
        {
            var received = await socket.ReceiveDescriptorsAsync(buffer.AsMemory(filled), MaxDescriptors);
            descriptors.AddRange(received);
            if (received.BytesReceived == 0)
            {
                return null;
            }

            filled += received.BytesReceived;
        }

        return buffer;
    }

    private static string? TypeOf(byte[] frame)
    {
        using var document = JsonDocument.Parse(frame.AsMemory(HeaderLength));
        return document.RootElement.GetProperty("type").GetString();
    }
}
