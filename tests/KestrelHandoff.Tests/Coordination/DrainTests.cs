using KestrelHandoff.Tests.Listeners;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>A host that is stopped while its instance drains. The test plays Kestrel and the other instance.</summary>
public sealed class DrainTests : IAsyncDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection()
        .AddLogging()
        .AddMetrics()
        .AddHandoffTransport()
        .AddSingleton<IHostApplicationLifetime, Lifetime>()
        .BuildServiceProvider();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>A server that stops would close such a connection, and its client has sent a request, perhaps.</summary>
    [Fact]
    public async Task Stop_ServerHasNotReadFromAConnectionYet_ItMovesBeforeTheDrainIsOver()
    {
        var listener = (HandoffListener)await _services.GetRequiredService<IConnectionListenerFactory>().BindAsync(ListenerHost.AnyPort, Cancel).OrHang();
        using var client = await Clients.ConnectAsync(listener.EndPoint);
        await using var connection = (HandoffConnection)(await listener.AcceptAsync(Cancel).OrHang())!;
        connection.Origin!.HasExchanges = true;
        var migration = _services.GetRequiredService<Migration>();
        migration.Begin(
            new((_, _, _) => Task.CompletedTask, _ => Task.FromResult(new Migrated(1))),
            new Dictionary<string, string> { [listener.Name] = listener.Name });
        var drain = _services.GetRequiredService<Drain>();
        drain.Begin(tellAsync: null);

        var over = drain.StopAsync();
        Assert.False(over.IsCompleted);
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

    private sealed class Lifetime : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication()
        {
        }
    }
}
