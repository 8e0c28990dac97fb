using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Listeners;

public sealed class ListenSocketTests : IDisposable
{
    private readonly TempDirectory _directory = new();

    private UnixDomainSocketEndPoint UnixEndPoint => new(_directory["app.sock"]);

    [Fact]
    public async Task Bind_PortZero_ListensOnAFreePort()
    {
        using var descriptor = Bind(ListenerHost.AnyPort);
        Assert.NotEqual(0, ((IPEndPoint)descriptor.LocalEndPoint).Port);
        Assert.True(OpenDescriptors.IsCloseOnExec(descriptor));
        Assert.Equal(1, OpenDescriptors.Count(OpenDescriptors.TargetOf(descriptor)));
        Assert.Null(descriptor.Path);
        (await Clients.ConnectAsync(descriptor.LocalEndPoint)).Dispose();
    }

    [Fact]
    public async Task Bind_AnyIPv6_TakesBothKinds()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "No IPv6 here.");
        using var descriptor = Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        var port = ((IPEndPoint)descriptor.LocalEndPoint).Port;
        (await Clients.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port))).Dispose();
        (await Clients.ConnectAsync(new IPEndPoint(IPAddress.IPv6Loopback, port))).Dispose();
    }

    [Fact]
    public async Task Bind_LoopbackIPv6_TakesNoIPv4()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "No IPv6 here.");
        using var descriptor = Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        (await Clients.ConnectAsync(descriptor.LocalEndPoint)).Dispose();
        await Clients.AssertRefusedAsync(new IPEndPoint(IPAddress.Loopback, ((IPEndPoint)descriptor.LocalEndPoint).Port));
    }

    [Fact]
    public async Task Bind_PortWithConnectionsInTimeWait_IsFree()
    {
        EndPoint endPoint;
        using (var first = Bind(ListenerHost.AnyPort))
        {
            endPoint = first.LocalEndPoint;
            using var listener = first.CreateSocket();
            using var client = await Clients.ConnectAsync(endPoint);
            var accepted = await listener.AcceptAsync(TestContext.Current.CancellationToken);
            accepted.Dispose(); // the server closes first, so the server has the TIME_WAIT
            Assert.Equal(0, await client.ReceiveAsync(new byte[1], TestContext.Current.CancellationToken).OrHang());
        }

        using var second = Bind(endPoint);
        Assert.Equal(endPoint, second.LocalEndPoint);
    }

    [Fact]
    public void Bind_PortInUse_IsWhatKestrelKnows()
    {
        using var descriptor = Bind(ListenerHost.AnyPort);
        Assert.IsType<SocketException>(Assert.Throws<AddressInUseException>(() => Bind(descriptor.LocalEndPoint)).InnerException);
    }

    [Fact]
    public void Bind_UnixPathInUse_IsWhatKestrelKnows()
    {
        using var descriptor = Bind(UnixEndPoint);
        Assert.Throws<AddressInUseException>(() => Bind(UnixEndPoint));
        Assert.True(File.Exists(_directory["app.sock"])); // a failed attempt takes nothing away
    }

    [Fact]
    public void Bind_UnixPathInNoDirectory_IsASocketException() =>
        Assert.Throws<SocketException>(() => Bind(new UnixDomainSocketEndPoint(_directory["none/app.sock"])));

    [Fact]
    public async Task Bind_UnixPath_OwnsThePath()
    {
        var descriptor = Bind(UnixEndPoint);
        Assert.Equal(_directory["app.sock"], descriptor.Path);
        Assert.Equal(_directory["app.sock"], descriptor.OwnedPath);
        (await Clients.ConnectAsync(UnixEndPoint)).Dispose();
        descriptor.Dispose();
        Assert.False(File.Exists(_directory["app.sock"]));
    }

    [Fact]
    public async Task Dispose_PathGivenAway_StaysAndTheOtherHolderServes()
    {
        var given = Bind(UnixEndPoint);
        using var taken = await ListenerHost.PassAsync(given);
        given.OwnedPath = null;
        given.Dispose();
        (await Clients.ConnectAsync(UnixEndPoint)).Dispose();
        Assert.Null(taken.OwnedPath);
    }

    [Fact]
    public void SocketBind_UnixPath_DeletesThePathWhoeverListensThere()
    {
        // Why Unix paths are bound by libc: the Socket that bound a path deletes it, and so does its finalizer.
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(UnixEndPoint);
        socket.Listen();
        using var other = TestLibc.Duplicate(socket);
        socket.Dispose();
        Assert.False(File.Exists(_directory["app.sock"]));
    }

    [Fact]
    public async Task Bind_AbstractName_HasNoPath()
    {
        var name = new UnixDomainSocketEndPoint($"\0{Path.GetRandomFileName()}");
        var descriptor = Bind(name);
        Assert.Equal(name, descriptor.LocalEndPoint);
        Assert.Null(descriptor.Path);
        Assert.Null(descriptor.OwnedPath);
        (await Clients.ConnectAsync(name)).Dispose();
        descriptor.Dispose();
        await Clients.AssertRefusedAsync(name);
    }

    [Fact]
    public async Task Bind_FileHandle_ListensOnItAndLeavesItOpen()
    {
        using var given = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        given.Bind(ListenerHost.AnyPort);
        TestLibc.ClearCloseOnExec(given.SafeHandle);
        var descriptor = Bind(new FileHandleEndPoint((ulong)given.SafeHandle.DangerousGetHandle(), FileHandleType.Auto));
        Assert.Equal(given.LocalEndPoint, descriptor.LocalEndPoint);
        Assert.True(OpenDescriptors.IsCloseOnExec(given.SafeHandle));
        Assert.True(OpenDescriptors.IsCloseOnExec(descriptor));
        descriptor.Dispose();
        Assert.Equal(DescriptorKind.ListeningSocket, Libc.KindOf(given.SafeHandle));
        (await Clients.ConnectAsync(given.LocalEndPoint!)).Dispose();
    }

    [Fact]
    public void Bind_FileHandleOfAUnixListener_DoesNotOwnItsPath()
    {
        using var given = Bind(UnixEndPoint);
        Bind(new FileHandleEndPoint((ulong)given.DangerousGetHandle(), FileHandleType.Auto)).Dispose();
        Assert.True(File.Exists(_directory["app.sock"]));
    }

    [Fact]
    public void Bind_FileHandleThatIsNoStreamSocket_IsRefusedAndLeftOpen()
    {
        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var file = new TempFile();
        foreach (var handle in new[] { datagrams.SafeHandle.DangerousGetHandle(), file.Handle.DangerousGetHandle() })
        {
            var refused = Assert.Throws<NotSupportedException>(() => Bind(new FileHandleEndPoint((ulong)handle, FileHandleType.Auto)));
            Assert.Contains($"Descriptor {handle} ", refused.Message, StringComparison.Ordinal);
        }

        Assert.False(OpenDescriptors.Count(file.Path) == 0);
        datagrams.Bind(ListenerHost.AnyPort); // still a good socket
    }

    [Fact]
    public async Task Bind_SocketOfTheApps_IsListenedOn()
    {
        using var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        made.Bind(ListenerHost.AnyPort);
        var address = made.LocalEndPoint;
        using var descriptor = Bind(ListenerHost.AnyPort, new() { CreateBoundListenSocket = _ => made });
        Assert.Equal(address, descriptor.LocalEndPoint);
        (await Clients.ConnectAsync(address!)).Dispose();
    }

    [Fact]
    public async Task Bind_UnixSocketOfTheApps_KeepsItsPathUntilTheOwnerCloses()
    {
        var descriptor = Bind(UnixEndPoint, new() { CreateBoundListenSocket = BindByItself });
        GC.Collect();
        GC.WaitForPendingFinalizers(); // the Socket that bound the path must not be among them
        (await Clients.ConnectAsync(UnixEndPoint)).Dispose();
        descriptor.Dispose();
        Assert.False(File.Exists(_directory["app.sock"]));

        static Socket BindByItself(EndPoint endPoint)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Bind(endPoint);
            return socket;
        }
    }

    public void Dispose() => _directory.Dispose();

    private static ListenerDescriptor Bind(EndPoint endPoint, TransportSettings? settings = null) =>
        ListenSocket.Bind(endPoint, "name", settings ?? new());
}
