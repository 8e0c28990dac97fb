using System.Net.Sockets;
using KestrelHandoff.Tests.Connections;
using KestrelHandoff.Tests.Listeners;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>Whose a connection is when it could not be given. The test plays Kestrel and the other instance.</summary>
public sealed class MigrationTests : IAsyncDisposable
{
    private readonly ConnectionRegistry _registry = new();
    private readonly RecordingLogger<ConnectionFactory> _connectionLog = new();
    private readonly ConnectionFactory _connections;
    private readonly ListenerTable _table = new(NullLogger<ListenerTable>.Instance);
    private readonly HandoffListenerFactory _factory;
    private readonly Migration _migration;
    private readonly List<Socket> _clients = [];
    private readonly List<HandoffConnection> _served = [];

    public MigrationTests()
    {
        _connections = new(new TransportSettings(), null, _connectionLog, _registry);
        _factory = new(_table, _connections, new TransportSettings(), NullLogger<HandoffListenerFactory>.Instance, TimeProvider.System);
        _migration = new(_registry, _connections, _table, new ShiftingTime(), NullLogger<Migration>.Instance);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Acknowledged_IsTheOthers()
    {
        var (_, client) = await GiveAsync(new(SentAsync, _ => Task.FromResult(new Migrated(1))));
        await _migration.WhenSettledAsync(Cancel).OrHang();
        Assert.Equal((1, 0, 0), (_migration.Count, _migration.Kept, _registry.Count));
    }

    /// <summary>What is to be given is not all given before the server has come to its read.</summary>
    [Fact]
    public async Task Begin_ServerHasNotReadYet_IsNotSettledBefore()
    {
        var (listener, _, connection) = await AcceptAsync();
        connection.Origin!.HasExchanges = true;
        _migration.Begin(new(SentAsync, _ => Task.FromResult(new Migrated(1))), Names(listener));
        var settled = _migration.WhenSettledAsync(Cancel);
        Assert.False(settled.IsCompleted);

        Assert.True((await connection.Transport.Input.ReadAsync(Cancel).AsTask().OrHang()).IsCanceled);
        await connection.DisposeAsync().OrHang();

        await settled.OrHang();
        Assert.Equal((1, 0, 0), (_migration.Count, _migration.Kept, _registry.Count));
    }

    public static TheoryData<string> ReasonsToKeep => ["not sent", "too long", "gone", "refused"];

    [Theory]
    [MemberData(nameof(ReasonsToKeep))]
    public async Task TheOtherCannotHaveIt_IsServedHereOn(string reason)
    {
        MigrationLine line = reason switch
        {
            "not sent" => new((_, _, _) => throw new SocketException((int)SocketError.NoBufferSpaceAvailable), NeverAsync),
            "too long" => new((_, _, _) => throw new HandoffException(HandoffFailure.Timeout, "Sending Migrate did not come"), NeverAsync),
            "gone" => new(SentAsync, _ => throw new EndOfStreamException()),
            _ => new(SentAsync, _ => throw new HandoffException(HandoffFailure.Refused, "stopping")),
        };
        var (listener, client) = await GiveAsync(line);

        await using var kept = Assert.IsType<HandoffConnection>(await listener.AcceptAsync(Cancel).OrHang());
        Assert.Equal((0, 1), (_migration.Count, _migration.Kept));
        await client.SendAsync("on"u8.ToArray(), SocketFlags.None).OrHang();
        Assert.Equal("on", await kept.ReadTextAsync(2));
    }

    [Fact]
    public async Task TheOtherOnlyIsSilent_ItMayHaveItAndThisInstanceClosesItsCopy()
    {
        var (_, client) = await GiveAsync(new(SentAsync, _ => throw new HandoffException(HandoffFailure.Timeout, "no Migrated")));
        await _migration.WhenSettledAsync(Cancel).OrHang();
        Assert.Equal((0, 0, 0), (_migration.Count, _migration.Kept, _registry.Count));
        Assert.Empty(await client.ReceiveToEndAsync());
    }

    [Fact]
    public async Task GiveUp_HandlerHasNotEnded_ConnectionIsResetAndNamed()
    {
        var (_, client, connection) = await HoldAsync(new(SentAsync, NeverAsync));
        _migration.GiveUp();
        await Assert.ThrowsAsync<SocketException>(client.ReceiveToEndAsync);
        Assert.Contains(connection.ConnectionId, (await _connectionLog.NextAsync(509)).Text, StringComparison.Ordinal);
        await connection.DisposeAsync().OrHang();
        Assert.Equal((0, 0), (_migration.Count, _registry.Count));
    }

    /// <summary>A handler that would let its connection go now has nobody to let it go to.</summary>
    [Fact]
    public async Task End_ConnectionIsNotHeldYet_StaysAndIsServedOn()
    {
        var (listener, client, connection) = await AcceptAsync();
        _migration.Begin(new(SentAsync, NeverAsync), Names(listener));
        _migration.End();

        Assert.False(connection.Features.Get<IConnectionHandoffFeature>()!.TryHandOff());

        await connection.WriteAsync("on");
        Assert.Equal("on", await client.ReceiveTextAsync(2));
    }

    /// <summary>It would be closed after an answer that does not say so.</summary>
    [Fact]
    public async Task End_RequestIsInFlight_TheNextIsServedHere()
    {
        var (listener, client, connection) = await AcceptAsync();
        connection.BeginExchange();
        _migration.Begin(new(SentAsync, NeverAsync), Names(listener));
        _migration.End();
        connection.EndExchange(isWhole: true);

        var next = connection.ReadTextAsync(3);
        await client.SendAsync("GET"u8.ToArray(), SocketFlags.None).OrHang();
        Assert.Equal("GET", await next);
    }

    /// <summary>The end of its request was waited for, and changes nothing any more.</summary>
    [Fact]
    public async Task End_ConnectionWasAwaited_IsNotAnyMore()
    {
        var (listener, _, connection) = await AcceptAsync();
        connection.BeginExchange();
        _migration.Begin(new(SentAsync, NeverAsync), Names(listener));
        _migration.AwaitBusy();
        var settled = _migration.WhenSettledAsync(Cancel);
        Assert.False(settled.IsCompleted);

        _migration.End();

        await settled.OrHang();
    }

    /// <summary>Held in the last moment, it is on its way all the same.</summary>
    [Fact]
    public async Task End_HandlerHasLetItsConnectionGoAndNotEnded_IsWaitedFor()
    {
        var (_, client, connection) = await HoldAsync(new(SentAsync, _ => Task.FromResult(new Migrated(1))));
        await _migration.WhenSettledAsync(Cancel).OrHang(); // nobody waits for a handler in the ordinary course

        _migration.End();
        var settled = _migration.WhenSettledAsync(Cancel);
        Assert.False(settled.IsCompleted);

        await connection.DisposeAsync().OrHang();
        await settled.OrHang();
        Assert.Equal(1, _migration.Count);
    }

    [Fact]
    public async Task End_NotAllHaveBeenAsked_TheOthersStay()
    {
        var listener = (HandoffListener)await _factory.BindAsync(ListenerHost.AnyPort, Cancel).OrHang();
        var clients = new List<Socket>();
        var connections = new List<HandoffConnection>();
        var reads = new Dictionary<HandoffConnection, Task>();
        for (var i = 0; i < 4; i++)
        {
            clients.Add(await Clients.ConnectAsync(listener.EndPoint));
            connections.Add((HandoffConnection)(await listener.AcceptAsync(Cancel).OrHang())!);
            connections[i].Origin!.HasExchanges = true;
            reads[connections[i]] = connections[i].Transport.Input.ReadAsync(Cancel).AsTask();
        }

        _migration.Begin(new(SentAsync, NeverAsync), Names(listener));
        var held = connections.FindAll(connection => connection.IsHeld);
        Assert.Equal(2, held.Count); // the next wait for these, or for a timer
        _migration.End();
        _migration.GiveUp();
        foreach (var connection in held)
        {
            await reads[connection].OrHang();
            connection.Transport.Input.AdvanceTo(default);
        }

        await Task.WhenAll(held.Select(connection => connection.DisposeAsync().AsTask())).OrHang();
        await _migration.WhenSettledAsync(Cancel).OrHang();

        Assert.Equal(held, connections.FindAll(connection => connection.IsHeld));
        await Task.WhenAll(connections.Select(connection => connection.DisposeAsync().AsTask())).OrHang();
        clients.ForEach(client => client.Dispose());
    }

    /// <summary>The host is told to stop in that moment: nothing on its way would mean that what is held may be closed.</summary>
    [Fact]
    public async Task BeingTaken_CountsFromTheMomentOnInWhichNobodyElseCountsIt()
    {
        var (listener, _, connection) = await AcceptAsync();
        connection.BeginExchange();
        _migration.Begin(new(SentAsync, NeverAsync), Names(listener));
        await _migration.WhenSettledAsync(Cancel).OrHang();
        using var go = new ManualResetEventSlim();
        var locked = new TaskCompletionSource();
        var messages = new StubMessages
        {
            Holds = () =>
            {
                locked.SetResult();
                return !go.Wait(HangGuard.Limit, Cancel);
            },
        };
        connection.Speak(messages);
        var holding = Task.Run(connection.EndMessage, Cancel);
        await locked.Task.OrHang(); // the connection's lock is taken

        var taking = Task.Run(async () => await connection.Disposing!(connection), Cancel);
        await Poll.UntilAsync(() => Task.FromResult(!_migration.WhenSettledAsync(Cancel).IsCompleted)).OrHang();

        go.Set();
        await holding.OrHang();
        await taking.OrHang();
        await _migration.WhenSettledAsync(Cancel).OrHang();
    }

    [Fact]
    public async Task Arrived_AsItEnds_IsServedHere()
    {
        var names = new NamesUntilTheEnd();
        _migration.Begin(new(SentAsync, NeverAsync), names);
        var (_, client, connection) = await AcceptAsync();
        connection.Continue(state: null, isBetween: true);
        var next = connection.ReadTextAsync(3);

        names.OnAsked = _migration.End;
        _migration.Arrived(connection);

        Assert.False(connection.IsHeld);
        await client.SendAsync("GET"u8.ToArray(), SocketFlags.None).OrHang();
        Assert.Equal("GET", await next);
    }

    [Fact]
    public async Task GiveUp_ConnectionIsNotHeld_IsLeftToItsServer()
    {
        var (_, client, connection) = await AcceptAsync();
        _migration.GiveUp();
        await connection.WriteAsync("on");
        Assert.Equal("on", await client.ReceiveTextAsync(2));
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_served.Select(connection => connection.DisposeAsync().AsTask())).OrHang();
        _clients.ForEach(client => client.Dispose());
        _migration.Dispose();
        foreach (var listener in _table.Listeners)
        {
            await listener.DisposeAsync();
        }

        _connections.Dispose();
    }

    private static Dictionary<string, string> Names(HandoffListener listener) => new() { [listener.Name] = listener.Name };

    private static Task SentAsync(Migrate migrate, IReadOnlyList<System.Runtime.InteropServices.SafeHandle> descriptors, CancellationToken cancellationToken) => Task.CompletedTask;

    private static Task<Migrated> NeverAsync(CancellationToken cancellationToken) => throw new InvalidOperationException("Nothing was sent that could be answered.");

    private async Task<(HandoffListener Listener, Socket Client)> GiveAsync(MigrationLine line)
    {
        var (listener, client, connection) = await HoldAsync(line);
        await connection.DisposeAsync().OrHang();
        return (listener, client);
    }

    private async Task<(HandoffListener Listener, Socket Client, HandoffConnection Connection)> HoldAsync(MigrationLine line)
    {
        var (listener, client, connection) = await AcceptAsync();
        _migration.Begin(line, Names(listener));
        Assert.True(connection.Features.Get<IConnectionHandoffFeature>()!.TryHandOff());
        return (listener, client, connection);
    }

    /// <summary>One that Kestrel has been given, and not read from.</summary>
    private async Task<(HandoffListener Listener, Socket Client, HandoffConnection Connection)> AcceptAsync()
    {
        var listener = (HandoffListener)await _factory.BindAsync(ListenerHost.AnyPort, Cancel).OrHang();
        _clients.Add(await Clients.ConnectAsync(listener.EndPoint));
        _served.Add((HandoffConnection)(await listener.AcceptAsync(Cancel).OrHang())!);
        return (listener, _clients[^1], _served[^1]);
    }

    /// <summary>The other instance has every listener, and something happens as that is asked.</summary>
    private sealed class NamesUntilTheEnd : Dictionary<string, string>, IReadOnlyDictionary<string, string>
    {
        public Action OnAsked { get; set; } = static () => { };

        bool IReadOnlyDictionary<string, string>.ContainsKey(string key)
        {
            OnAsked();
            return true;
        }
    }
}
