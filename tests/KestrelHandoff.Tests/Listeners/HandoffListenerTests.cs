using System.Net.Sockets;
using KestrelHandoff.Tests.Connections;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Listeners;

namespace KestrelHandoff.Tests.Listeners;

public sealed class HandoffListenerTests : IAsyncLifetime
{
    private readonly ShiftingTime _time = new();
    private readonly ListenerHost _host;
    private HandoffListener _listener = null!;

    public HandoffListenerTests() => _host = new(time: _time);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _listener = await _host.BindAsync();

    [Fact]
    public async Task Accept_Client_IsItsConnection()
    {
        using var client = await Clients.ConnectAsync(_listener.EndPoint);
        await using var accepted = await _listener.AcceptAsync(Cancel).OrHang();
        await client.SendAsync("ping"u8.ToArray(), Cancel).OrHang();
        Assert.Equal("ping", await ((Transport.Connections.HandoffConnection)accepted!).ReadTextAsync(4));
    }

    [Fact]
    public async Task ShutGate_WhileAccepting_ClientsWaitUntilItOpens()
    {
        var accepting = _listener.AcceptAsync(Cancel).OrHang();
        await _listener.ShutGateAsync().OrHang();
        using var client = await Clients.ConnectAsync(_listener.EndPoint);

        // The accept that is under way gives what is brought, although the client was there first.
        await using var brought = await _host.MakeConnectionAsync();
        _listener.Bring(brought);
        Assert.Same(brought, await accepting);

        _listener.OpenGate();
        await _listener.AssertAcceptsAsync(client);
    }

    [Fact]
    public async Task OpenGate_WhileAcceptWaits_GivesTheClientThatWaited()
    {
        await _listener.ShutGateAsync().OrHang();
        using var client = await Clients.ConnectAsync(_listener.EndPoint);
        var accepting = _listener.AssertAcceptsAsync(client);
        _listener.OpenGate();
        await accepting.OrHang();
    }

    [Fact]
    public async Task ShutGate_Twice_And_WithNobodyAccepting_Returns()
    {
        await _listener.ShutGateAsync().OrHang();
        await _listener.ShutGateAsync().OrHang();
        _listener.OpenGate();
        _listener.OpenGate();
        await _listener.AssertServesAsync();
    }

    [Fact]
    public async Task ShutAndOpen_UnderConnects_LosesNoConnection()
    {
        const int Loops = 4, Connects = 100, Rounds = 200;
        var serving = ServeAsync();
        var clients = Enumerable.Range(0, Loops).Select(_ => Task.Run(ConnectManyAsync, Cancel)).ToArray();
        for (var round = 0; round < Rounds; round++)
        {
            await _listener.ShutGateAsync().OrHang();
            _listener.OpenGate();
            await Task.Yield();
        }

        await Task.WhenAll(clients).OrHang();
        await _listener.UnbindAsync(Cancel).OrHang();
        Assert.Equal(Loops * Connects, await serving.OrHang());

        async Task ConnectManyAsync()
        {
            for (var i = 0; i < Connects; i++)
            {
                using var client = await Clients.ConnectAsync(_listener.EndPoint);
                Assert.Equal("x"u8.ToArray(), await client.ReceiveToEndAsync());
            }
        }

        async Task<int> ServeAsync()
        {
            for (var count = 0; ; count++)
            {
                await using var accepted = await _listener.AcceptAsync(Cancel);
                if (accepted is null)
                {
                    return count;
                }

                await accepted.Transport.Output.WriteAsync("x"u8.ToArray(), Cancel);
                await accepted.Transport.Output.CompleteAsync();
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Bring_WhateverTheGate_ComesOutInOrder(bool isOpen)
    {
        if (!isOpen)
        {
            await _listener.ShutGateAsync().OrHang();
        }

        await using var first = await _host.MakeConnectionAsync();
        await using var second = await _host.MakeConnectionAsync();
        await using var third = await _host.MakeConnectionAsync();
        _listener.Bring(first);
        _listener.Bring(second);
        Assert.Same(first, await _listener.AcceptAsync(Cancel).OrHang());
        Assert.Same(second, await _listener.AcceptAsync(Cancel).OrHang());
        var accepting = _listener.AcceptAsync(Cancel).OrHang();
        _listener.Bring(third);
        Assert.Same(third, await accepting);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Unbind_WhileAccepting_EndsTheLoopWithNull(bool isOpen)
    {
        if (!isOpen)
        {
            await _listener.ShutGateAsync().OrHang();
        }

        var accepting = _listener.AcceptAsync(Cancel).OrHang();
        await _listener.UnbindAsync(Cancel).OrHang();
        Assert.Null(await accepting);
        _listener.OpenGate();
        Assert.Null(await _listener.AcceptAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task Unbind_RefusesClientsAtOnce()
    {
        await _listener.UnbindAsync(Cancel).OrHang();
        await Clients.AssertRefusedAsync(_listener.EndPoint);
        Assert.True(_listener.Descriptor.IsClosed);
    }

    [Fact]
    public async Task Unbind_WithBroughtConnections_TheyComeOutBeforeTheEnd()
    {
        await using var brought = await _host.MakeConnectionAsync();
        _listener.Bring(brought);
        await _listener.UnbindAsync(Cancel).OrHang();
        Assert.Same(brought, await _listener.AcceptAsync(Cancel).OrHang());
        Assert.Null(await _listener.AcceptAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task Accept_Cancelled_ThrowsAndLosesNothing()
    {
        using var cancel = new CancellationTokenSource();
        var accepting = _listener.AcceptAsync(cancel.Token).OrHang();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting);
        await _listener.AssertServesAsync();
    }

    [Fact]
    public async Task Dispose_ClosesTheListener()
    {
        var accepting = _listener.AcceptAsync(Cancel).OrHang();
        await _listener.DisposeAsync().OrHang();
        Assert.Null(await accepting);
        await Clients.AssertRefusedAsync(_listener.EndPoint);
        Assert.Empty(_host.Table.Listeners);
        Assert.True(_listener.Descriptor.IsClosed);
    }

    [Fact]
    public async Task Dispose_AfterUnbindAndTwice_IsFine()
    {
        await _listener.UnbindAsync(Cancel).OrHang();
        await _listener.DisposeAsync().OrHang();
        await _listener.DisposeAsync().OrHang();
        Assert.Null(await _listener.AcceptAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task Accept_SocketIsBroken_TriesAgainAtLongerAndLongerPauses()
    {
        var accepting = _listener.AcceptAsync(Cancel).OrHang();
        BreakListener();
        foreach (var milliseconds in new[] { 20, 40, 80, 160, 320, 640, 1000, 1000 })
        {
            var line = await _host.Log.NextAsync(403);
            Assert.Equal($"Listener {_listener.Name}: accept failed; trying again in {milliseconds} ms.", line.Text);
            Assert.IsType<SocketException>(line.Exception);
            await _time.PassAsync(TimeSpan.FromMilliseconds(milliseconds));
        }

        await _listener.UnbindAsync(Cancel).OrHang();
        Assert.Null(await accepting);
    }

    [Fact]
    public async Task ShutGate_DuringThePause_ReturnsAtOnceAndBringWorks()
    {
        var accepting = _listener.AcceptAsync(Cancel).OrHang();
        BreakListener();
        await _host.Log.NextAsync(403);
        await _listener.ShutGateAsync().OrHang();
        await using var brought = await _host.MakeConnectionAsync();
        _listener.Bring(brought);
        Assert.Same(brought, await accepting);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    /// <summary>Takes the socket out of LISTEN, for good: accept(2) fails from now on.</summary>
    private void BreakListener()
    {
        using var other = TestLibc.Duplicate(_listener.Descriptor);
        other.Shutdown(SocketShutdown.Both);
    }
}
