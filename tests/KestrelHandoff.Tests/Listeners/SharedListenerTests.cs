using System.Net.Sockets;
using KestrelHandoff.Tests.Connections;
using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Listeners;

namespace KestrelHandoff.Tests.Listeners;

/// <summary>A passed listener is one open socket with two holders. What one does to it must not reach the other.</summary>
public sealed class SharedListenerTests : IAsyncLifetime
{
    private readonly ListenerHost _predecessor = new();
    private readonly ListenerHost _successor = new();
    private HandoffListener _given = null!;
    private HandoffListener _taken = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _given = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        _taken = await _successor.BindAsync();
        _successor.Table.OpenGates();
    }

    [Fact]
    public async Task Release_ByThePredecessorWithAnAcceptPending_LeavesTheSuccessorListening()
    {
        var accepting = _given.AcceptAsync(Cancel).OrHang();
        await _given.DisposeAsync().OrHang();
        Assert.Null(await accepting);
        await AssertHealthyAsync(_taken);
    }

    [Fact]
    public async Task Release_ByTheSuccessorWithAnAcceptPending_LeavesThePredecessorListening()
    {
        var accepting = _taken.AcceptAsync(Cancel).OrHang();
        await _taken.DisposeAsync().OrHang();
        Assert.Null(await accepting);
        await AssertHealthyAsync(_given);
    }

    [Fact]
    public async Task DisposeOfOurWrapper_WithAnAcceptPending_LeavesNoTrace()
    {
        await _given.ShutGateAsync().OrHang();
        await _taken.ShutGateAsync().OrHang();
        var wrapper = _given.Descriptor.CreateSocket();
        var accepting = wrapper.AcceptAsync(Cancel).OrHang();
        wrapper.Dispose();
        await Assert.ThrowsAnyAsync<SocketException>(() => accepting);
        Assert.False(_given.Descriptor.IsClosed);
        _taken.OpenGate();
        await AssertHealthyAsync(_taken);
    }

    [Fact]
    public async Task DisposeOfAnOwningSocket_WithAnAcceptPending_PoisonsTheSharedListener()
    {
        // Why there is a ListenerDescriptor: this is what Socket.Dispose does, and what Kestrel's own listener would do.
        var owning = TestLibc.Duplicate(_given.Descriptor);
        var accepting = owning.AcceptAsync(Cancel).OrHang();
        owning.Dispose();
        await Assert.ThrowsAnyAsync<SocketException>(() => accepting);
        using var shared = _taken.Descriptor.CreateSocket();
        Assert.Equal((true, 0), (shared.LingerState!.Enabled, shared.LingerState.LingerTime));
    }

    [Fact]
    public async Task Adopt_ListenerLeftWithLinger_ResetsIt()
    {
        Poison(_given);
        var adopted = await ListenerHost.PassAsync(_given.Descriptor);
        _successor.Table.Offer([adopted]);
        await AssertHealthyAsync(_taken);
    }

    [Fact]
    public async Task LingerOnTheListener_ComesWithEachAcceptedConnection()
    {
        // Why the adopter resets it: it is inherited by accept(2), and a connection that ends with it set ends with a reset.
        Poison(_given);
        using var listener = _taken.Descriptor.CreateSocket();
        using var client = await Clients.ConnectAsync(_taken.EndPoint);
        await _given.ShutGateAsync().OrHang();
        await _taken.ShutGateAsync().OrHang();
        var accepted = await listener.AcceptAsync(Cancel).OrHang();
        Assert.True(accepted.LingerState!.Enabled);
        accepted.Dispose();
        await Assert.ThrowsAnyAsync<SocketException>(() => client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task Adopt_Listener_IsCloseOnExecUnderANumberOfItsOwn()
    {
        using var adopted = await ListenerHost.PassAsync(_given.Descriptor);
        Assert.True(OpenDescriptors.IsCloseOnExec(adopted));
        Assert.Equal(OpenDescriptors.TargetOf(_given.Descriptor), OpenDescriptors.TargetOf(adopted));
        Assert.NotEqual(_given.Descriptor.DangerousGetHandle(), adopted.DangerousGetHandle());
        Assert.Equal(_given.EndPoint, adopted.LocalEndPoint);
    }

    [Fact]
    public async Task Adopt_ThenDispose_LeavesNoDescriptorBehind()
    {
        var target = OpenDescriptors.TargetOf(_given.Descriptor);
        var before = OpenDescriptors.Count(target);
        (await ListenerHost.PassAsync(_given.Descriptor)).Dispose();
        Assert.Equal(before, OpenDescriptors.Count(target));
    }

    [Fact]
    public async Task Adopt_WhatOnlyClaimsToListen_IsRefusedByNameAndClosed()
    {
        var (client, server) = await ConnectionPair.ConnectAsync();
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(ListenerHost.AnyPort);
        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        datagrams.Bind(ListenerHost.AnyPort);
        using (client)
        using (server)
        {
            foreach (var socket in new[] { server, bound, datagrams })
            {
                var target = OpenDescriptors.TargetOf(socket.SafeHandle);
                using (var copy = TestLibc.Duplicate(socket))
                {
                    var refused = Assert.Throws<InvalidDataException>(() => ListenerDescriptor.Adopt("tcp:label", copy.SafeHandle));
                    Assert.Contains("'tcp:label'", refused.Message, StringComparison.Ordinal);
                }

                Assert.Equal(1, OpenDescriptors.Count(target));
            }
        }
    }

    [Fact]
    public async Task BothAccept_ForAMoment_EveryClientIsServedOnce()
    {
        const int Count = 100;
        var both = Task.WhenAll(CountAsync(_given), CountAsync(_taken));
        for (var i = 0; i < Count; i++)
        {
            using var client = await Clients.ConnectAsync(_given.EndPoint);
            Assert.Empty(await client.ReceiveToEndAsync());
        }

        await _given.UnbindAsync(Cancel).OrHang();
        await _taken.UnbindAsync(Cancel).OrHang();
        Assert.Equal(Count, (await both.OrHang()).Sum());

        static async Task<int> CountAsync(HandoffListener listener)
        {
            for (var count = 0; ; count++)
            {
                await using var accepted = await listener.AcceptAsync(Cancel);
                if (accepted is null)
                {
                    return count;
                }

                await accepted.Transport.Output.CompleteAsync();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _successor.DisposeAsync();
        await _predecessor.DisposeAsync();
    }

    private static void Poison(HandoffListener listener)
    {
        using var shared = listener.Descriptor.CreateSocket();
        shared.LingerState = new LingerOption(true, 0);
    }

    private static async Task AssertHealthyAsync(HandoffListener listener)
    {
        Assert.Equal(DescriptorKind.ListeningSocket, Libc.KindOf(listener.Descriptor)); // TCP_LISTEN
        using var shared = listener.Descriptor.CreateSocket();
        Assert.False(shared.LingerState!.Enabled);
        await listener.AssertServesAsync();
    }
}
