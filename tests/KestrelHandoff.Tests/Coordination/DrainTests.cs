using KestrelHandoff.Tests.Listeners;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>A host that is stopped while its instance drains. The test plays Kestrel and the other instance.</summary>
public sealed class DrainTests : IAsyncDisposable
{
    private readonly ServiceProvider _services = TransportServices.Create(new ShiftingTime());

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string> StatesBeforeTheNextRead => ["not read yet", "in flight"];

    /// <summary>A server that stops would close such a connection, and its client has sent a request, perhaps.</summary>
    [Theory]
    [MemberData(nameof(StatesBeforeTheNextRead))]
    public async Task Stop_ServerHasNotComeToItsNextRead_TheConnectionMovesBeforeTheDrainIsOver(string state)
    {
        var listener = (HandoffListener)await _services.GetRequiredService<IConnectionListenerFactory>().BindAsync(ListenerHost.AnyPort, Cancel).OrHang();
        using var client = await Clients.ConnectAsync(listener.EndPoint);
        await using var connection = (HandoffConnection)(await listener.AcceptAsync(Cancel).OrHang())!;
        connection.Origin!.HasExchanges = true;
        if (state == "in flight")
        {
            connection.BeginExchange();
        }

        var migration = _services.GetRequiredService<Migration>();
        migration.Begin(
            new((_, _, _) => Task.CompletedTask, _ => Task.FromResult(new Migrated(1))),
            new Dictionary<string, string> { [listener.Name] = listener.Name });
        var drain = _services.GetRequiredService<Drain>();
        drain.Begin(tellAsync: null);

        var over = drain.StopAsync();
        Assert.False(over.IsCompleted);
        if (state == "in flight")
        {
            connection.EndExchange(isWhole: true);
        }

        Assert.True((await connection.Transport.Input.ReadAsync(Cancel).AsTask().OrHang()).IsCanceled);
        await connection.DisposeAsync().OrHang();

        await over.OrHang();
        Assert.Equal(1, migration.Count);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var listener in _services.GetRequiredService<ListenerTable>().Listeners)
        {
            await listener.DisposeAsync();
        }

        await _services.DisposeAsync();
    }
}
