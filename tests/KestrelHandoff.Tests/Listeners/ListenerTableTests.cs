using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Listeners;

public sealed class ListenerTableTests : IAsyncLifetime
{
    private readonly ListenerHost _predecessor = new();
    private readonly ListenerHost _successor = new();
    private readonly TempDirectory _directory = new();

    private UnixDomainSocketEndPoint UnixEndPoint => new(_directory["app.sock"]);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Bind_Offered_IsAdoptedByName()
    {
        var given = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        var taken = await _successor.BindAsync();
        Assert.Equal(given.EndPoint, taken.EndPoint);
        Assert.Equal(given.Name, taken.Name);
        Assert.Equal(given.Name, taken.Descriptor.AdoptedFrom);
        Assert.Contains(taken.Name, (await _successor.Log.NextAsync(401)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenGates_Adopted_BacklogIsThatOfTheInstanceThatAccepts()
    {
        await using var predecessor = new ListenerHost(new() { Backlog = 8 });
        var given = await predecessor.BindAsync();
        await using var successor = new ListenerHost(new() { Backlog = 7 });
        await successor.JoinAsync(predecessor);
        await successor.BindAsync();
        Assert.Equal(8, BacklogOf(given));
        successor.Table.OpenGates();
        Assert.Equal(7, BacklogOf(given));
        predecessor.Table.OpenGates();
        Assert.Equal(8, BacklogOf(given));

        static int BacklogOf(HandoffListener listener)
        {
            const int TcpInfo = 11, Sacked = 28; // linux/tcp.h, struct tcp_info: of a listener its backlog (tcp_get_info)
            using var socket = listener.Descriptor.CreateSocket();
            var info = new byte[Sacked + sizeof(int)];
            socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, TcpInfo, info);
            return BitConverter.ToInt32(info, Sacked);
        }
    }

    [Fact]
    public async Task Bind_NothingOffered_IsBoundAnew()
    {
        var listener = await _predecessor.BindAsync();
        Assert.Null(listener.Descriptor.AdoptedFrom);
        Assert.Contains(listener.EndPoint.ToString()!, (await _predecessor.Log.NextAsync(400)).Text, StringComparison.Ordinal);
        await listener.AssertServesAsync();
    }

    [Fact]
    public async Task Bind_WhileAHandoffIsUnderWay_WaitsUntilItHasFailed()
    {
        await _predecessor.BindAsync();
        Assert.Single(_predecessor.Table.BeginOffer());
        var binding = _predecessor.BindAsync();
        Assert.False(binding.IsCompleted);
        _predecessor.Table.EndOffer();
        await (await binding).AssertServesAsync();
    }

    [Fact]
    public async Task Bind_WhileAHandoffIsUnderWayThatSucceeds_IsLeftToTheSuccessor()
    {
        _predecessor.Table.BeginOffer();
        var binding = _predecessor.BindAsync();
        await _predecessor.Table.ReleaseAsync(new HashSet<string>());
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => binding);
        Assert.Contains("has handed over", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bind_PortZeroBeforeAndThatPortNow_IsAdoptedByAddress()
    {
        var given = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        var taken = await _successor.BindAsync(given.EndPoint);
        Assert.Equal(given.EndPoint, taken.EndPoint);
        Assert.Equal($"tcp:{given.EndPoint}", taken.Name);
        Assert.Equal("tcp:127.0.0.1:0", taken.Descriptor.AdoptedFrom); // which is what the predecessor knows it by
    }

    [Fact]
    public async Task Bind_SeveralOfOneEndpoint_AreToldApartByOrdinals()
    {
        HandoffListener[] given = [await _predecessor.BindAsync(), await _predecessor.BindAsync(), await _predecessor.BindAsync()];
        Assert.Equal(["tcp:127.0.0.1:0", "tcp:127.0.0.1:0#1", "tcp:127.0.0.1:0#2"], given.Select(listener => listener.Name));
        await _successor.JoinAsync(_predecessor);
        HandoffListener[] taken = [await _successor.BindAsync(), await _successor.BindAsync(), await _successor.BindAsync()];
        Assert.Equal(given.Select(listener => listener.EndPoint), taken.Select(listener => listener.EndPoint));
    }

    [Fact]
    public async Task Bind_MoreThanOffered_TheRestIsBoundAnew()
    {
        await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        Assert.NotNull((await _successor.BindAsync()).Descriptor.AdoptedFrom);
        Assert.Null((await _successor.BindAsync()).Descriptor.AdoptedFrom);
    }

    [Fact]
    public async Task Bind_NameAndAddressOfDifferentOffers_TheNameWins()
    {
        var first = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        var other = await _predecessor.BindAsync();
        var renamed = await ListenerHost.PassAsync(other.Descriptor);
        renamed.Name = $"tcp:{first.EndPoint}";
        _successor.Table.Offer([renamed]);
        Assert.Equal(other.EndPoint, (await _successor.BindAsync(first.EndPoint)).EndPoint);
    }

    [Fact]
    public async Task Joined_Listeners_DoNotAcceptUntilTheGatesOpen()
    {
        var given = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        var taken = await _successor.BindAsync();
        var fresh = await _successor.BindAsync();
        await _predecessor.Table.ShutGatesAsync(new HashSet<string> { given.Name }).OrHang();
        using var client = await Clients.ConnectAsync(given.EndPoint);
        using var other = await Clients.ConnectAsync(fresh.EndPoint);

        var accepting = taken.AcceptAsync(Cancel).OrHang();
        await using var probe = await _successor.MakeConnectionAsync();
        taken.Bring(probe);
        Assert.Same(probe, await accepting);

        _successor.Table.OpenGates();
        await taken.AssertAcceptsAsync(client);
        await fresh.AssertAcceptsAsync(other);
        await (await _successor.BindAsync()).AssertServesAsync(); // bound from now on: open
    }

    [Fact]
    public async Task ShutGates_ThenOpenGates_TheOriginalListenersServeOn()
    {
        var listener = await _predecessor.BindAsync();
        var accepting = listener.AcceptAsync(Cancel).OrHang();
        await _predecessor.Table.ShutGatesAsync(new HashSet<string> { listener.Name }).OrHang();
        using var client = await Clients.ConnectAsync(listener.EndPoint);
        _predecessor.Table.OpenGates();
        await using var accepted = await accepting;
        Assert.Equal(client.LocalEndPoint, accepted!.RemoteEndPoint);
    }

    [Fact]
    public async Task ShutGates_ListenerThatTheSuccessorHasNot_AcceptsOn()
    {
        var given = await _predecessor.BindAsync();
        var kept = await _predecessor.BindAsync();
        await _predecessor.Table.ShutGatesAsync(new HashSet<string> { given.Name }).OrHang();
        await kept.AssertServesAsync();
    }

    [Fact]
    public async Task Accept_TwoConnections_ShareTheLocalAddress()
    {
        var listener = await _predecessor.BindAsync();
        using var client = await Clients.ConnectAsync(listener.EndPoint);
        using var other = await Clients.ConnectAsync(listener.EndPoint);
        await using var first = await listener.AcceptAsync(Cancel).OrHang();
        await using var second = await listener.AcceptAsync(Cancel).OrHang();
        Assert.Same(first!.LocalEndPoint, second!.LocalEndPoint); // a getsockname(2) each costs a twentieth of the connections/s
    }

    [Fact]
    public async Task CloseUnclaimed_Offered_IsClosedAndLogged()
    {
        var given = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        _successor.Table.CloseUnclaimed();
        Assert.Contains(given.Name, (await _successor.TableLog.NextAsync(402)).Text, StringComparison.Ordinal);
        await given.AssertServesAsync(); // the predecessor's copy is its own
        await given.DisposeAsync().OrHang();
        await Clients.AssertRefusedAsync(given.EndPoint); // and no other is left
    }

    [Fact]
    public async Task Release_ClaimedListeners_LiveOnAtTheSuccessorOthersClose()
    {
        var claimed = await _predecessor.BindAsync();
        var unclaimed = await _predecessor.BindAsync();
        await _successor.JoinAsync(_predecessor);
        var taken = await _successor.BindAsync();
        _successor.Table.CloseUnclaimed();
        _successor.Table.OpenGates();

        var accepting = claimed.AcceptAsync(Cancel).OrHang();
        await _predecessor.Table.ReleaseAsync(new HashSet<string> { claimed.Name }).OrHang();
        await taken.AssertServesAsync();
        await Clients.AssertRefusedAsync(unclaimed.EndPoint);
        Assert.Contains(unclaimed.Name, (await _predecessor.TableLog.NextAsync(107)).Text, StringComparison.Ordinal);
        await claimed.UnbindAsync(Cancel).OrHang();
        Assert.Null(await accepting); // till then a connection that cannot move is brought back here
    }

    [Fact]
    public async Task UnixPath_MovesAtTheCommitAndItsLastOwnerUnlinksIt()
    {
        var given = await _predecessor.BindAsync(UnixEndPoint);
        await _successor.JoinAsync(_predecessor);
        var taken = await _successor.BindAsync(UnixEndPoint);
        Assert.Null(taken.Descriptor.OwnedPath);
        _successor.Table.TakePaths();
        Assert.Equal(_directory["app.sock"], taken.Descriptor.OwnedPath);
        _successor.Table.OpenGates();

        await _predecessor.Table.ReleaseAsync(new HashSet<string> { given.Name }).OrHang();
        using (await Clients.ConnectAsync(UnixEndPoint))
        {
            await using var accepted = await taken.AcceptAsync(Cancel).OrHang();
        }

        await taken.DisposeAsync().OrHang();
        Assert.False(File.Exists(_directory["app.sock"]));
    }

    [Fact]
    public async Task UnixPath_SuccessorFailsBeforeTheCommit_StaysThePredecessors()
    {
        var given = await _predecessor.BindAsync(UnixEndPoint);
        await _successor.JoinAsync(_predecessor);
        await _successor.BindAsync(UnixEndPoint);
        await _successor.DisposeAsync().OrHang();
        using (await Clients.ConnectAsync(UnixEndPoint))
        {
            await using var accepted = await given.AcceptAsync(Cancel).OrHang();
        }

        await given.DisposeAsync().OrHang();
        Assert.False(File.Exists(_directory["app.sock"]));
    }

    [Fact]
    public async Task UnixPath_SuccessorNoLongerListensThere_GoesWithThePredecessor()
    {
        await _predecessor.BindAsync(UnixEndPoint);
        await _successor.JoinAsync(_predecessor);
        _successor.Table.CloseUnclaimed();
        _successor.Table.TakePaths();
        Assert.True(File.Exists(_directory["app.sock"]));
        await _predecessor.Table.ReleaseAsync(new HashSet<string>()).OrHang();
        Assert.False(File.Exists(_directory["app.sock"]));
    }

    [Fact]
    public async Task Bind_AfterTheHandover_IsRefused()
    {
        await _predecessor.BindAsync();
        await _predecessor.Table.ReleaseAsync(new HashSet<string>()).OrHang();
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => _predecessor.BindAsync()).OrHang();
        Assert.Contains("has handed over", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CanBind_EndPoints_AreThoseThatHaveAName()
    {
        EndPoint[] named = [ListenerHost.AnyPort, UnixEndPoint, new FileHandleEndPoint(3, FileHandleType.Auto)];
        Assert.All(named, endPoint => Assert.True(_predecessor.Factory.CanBind(endPoint)));
        Assert.False(_predecessor.Factory.CanBind(new DnsEndPoint("localhost", 80)));
    }

    public async ValueTask DisposeAsync()
    {
        await _successor.DisposeAsync();
        await _predecessor.DisposeAsync();
        _directory.Dispose();
    }
}
