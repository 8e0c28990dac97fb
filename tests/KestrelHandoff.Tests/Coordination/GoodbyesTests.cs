using System.Net.Sockets;
using KestrelHandoff.Tests.Connections;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>When a connection that stays is told that its instance goes. The test plays Kestrel, and the clock.</summary>
public sealed class GoodbyesTests : IAsyncDisposable
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    private readonly ConnectionRegistry _registry = new();
    private readonly ConnectionFactory _connections;
    private readonly Migration _migration;
    private readonly ShiftingTime _time = new();
    private readonly CancellationTokenSource _over = new();
    private readonly List<Socket> _clients = [];
    private readonly List<HandoffConnection> _served = [];
    private readonly List<(string Connection, int Step)> _told = [];

    public GoodbyesTests()
    {
        _connections = new(new TransportSettings(), null, NullLogger.Instance, _registry);
        _migration = new(_registry, _connections, new(NullLogger<ListenerTable>.Instance), TimeProvider.System, NullLogger<Migration>.Instance);
    }

    [Fact]
    public async Task Idle_EndsLateAndOneByOne_LongestIdleFirst()
    {
        await ServeAsync("a", connection => connection.BeginExchange(hasEnd: false));
        await ServeAsync("b", connection => connection.BeginExchange(hasEnd: false));
        await ServeAsync("c", connection => connection.BeginExchange(hasEnd: false));
        await SpeakAsync("b");
        await SpeakAsync("a");
        Assert.Equal([("c", Goodbyes.LastStep - 3), ("b", Goodbyes.LastStep - 2), ("a", Goodbyes.LastStep - 1)], await DrainAsync());
    }

    [Fact]
    public async Task Http2_IsToldInTheFirstHalf()
    {
        await ServeAsync("a", connection => connection.IsShared = true);
        await ServeAsync("b", connection => connection.IsShared = true);
        Assert.Equal([0, 1], (await DrainAsync()).Select(told => told.Step));
    }

    public static TheoryData<string> StateOfThoseThatMove => ["in a request", "after a request", "raw, asked"];

    [Theory]
    [MemberData(nameof(StateOfThoseThatMove))]
    public async Task MovesYet_IsNotTold_ButWhoseHandlerMayNeverLetItGo(string state)
    {
        await ServeAsync("a", connection => Begin(connection, state));
        Assert.Equal(state == "raw, asked" ? [("a", Goodbyes.LastStep - 1)] : [], await DrainAsync());
    }

    [Theory]
    [MemberData(nameof(StateOfThoseThatMove))]
    public async Task MovesNoMore_IsClosedAsIdleOnesAre_ButNotInARequest(string state)
    {
        _migration.Forgo();
        await ServeAsync("a", connection => Begin(connection, state));
        Assert.Equal(state == "in a request" ? [] : [("a", Goodbyes.LastStep - 1)], await DrainAsync());
    }

    [Fact]
    public async Task LeftUnreadARequest_IsClosedAsIdleOnesAre()
    {
        await ServeAsync("a", connection =>
        {
            connection.BeginExchange();
            connection.EndExchange(isWhole: false);
        });
        Assert.Equal([("a", Goodbyes.LastStep - 1)], await DrainAsync());
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        foreach (var connection in _served)
        {
            await connection.DisposeAsync().AsTask().OrHang();
        }

        _over.Dispose();
        _migration.Dispose();
        _connections.Dispose();
    }

    private static void Begin(HandoffConnection connection, string state)
    {
        if (state == "raw, asked")
        {
            _ = connection.Features.Get<IConnectionHandoffFeature>()!.HandoffRequested;
            return;
        }

        connection.BeginExchange();
        if (state == "after a request")
        {
            connection.EndExchange(isWhole: true);
        }
    }

    private async Task ServeAsync(string id, Action<HandoffConnection> begin)
    {
        var (client, server) = await ConnectionPair.ConnectAsync();
        var connection = _connections.Create(server);
        connection.ConnectionId = id;
        connection.Features.Set<IConnectionLifetimeNotificationFeature>(new Server(() => _told.Add((id, (int)(_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Divide(Step)))));
        begin(connection);
        _clients.Add(client);
        _served.Add(connection);
    }

    /// <summary>Everybody has been silent for a while when the client of <paramref name="id"/> speaks.</summary>
    private async Task SpeakAsync(string id)
    {
        var index = _served.FindIndex(connection => connection.ConnectionId == id);
        await Poll.UntilAsync(() => Task.FromResult(_served.TrueForAll(connection => connection.Silence >= TimeSpan.FromMilliseconds(20)))).OrHang();
        await _clients[index].SendAsync("x"u8.ToArray()).OrHang();
        await _served[index].ReadTextAsync(1);
    }

    private async Task<List<(string Connection, int Step)>> DrainAsync()
    {
        var saying = new Goodbyes(_registry, _migration, _time).SayAsync(2 * Goodbyes.Steps * Step, _over.Token);
        for (var step = 0; step <= 2 * Goodbyes.Steps; step++)
        {
            await _time.PassAsync(Step);
        }

        await _over.CancelAsync();
        await saying.OrHang();
        return _told;
    }

    private sealed class Server(Action onRequestClose) : IConnectionLifetimeNotificationFeature
    {
        public CancellationToken ConnectionClosedRequested { get; set; }

        public void RequestClose() => onRequestClose();
    }
}
