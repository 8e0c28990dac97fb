using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>A successor that is rolled back, as its predecessor sees it.</summary>
public sealed class WithdrawalTests : IAsyncDisposable
{
    private readonly SocketPair _pair = new();
    private readonly ServiceProvider _services = new ServiceCollection()
        .AddLogging()
        .AddMetrics()
        .AddHandoffTransport()
        .AddSingleton<IHostApplicationLifetime, IdleLifetime>()
        .BuildServiceProvider();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>The predecessor would take silence for a successor that hangs, and kill it with what it still answers.</summary>
    [Fact]
    public async Task HostStops_ThePredecessorIsToldAllTheSame()
    {
        using var predecessor = new ControlChannel(_pair.Near);
        _services.GetRequiredService<InstanceState>().Move(HandoffSignal.NoPredecessor);

        await _services.GetRequiredService<Withdrawal>()
            .RunAsync(new LifeLine(new ControlChannel(_pair.Far), [], NullLogger.Instance), new CancellationToken(canceled: true)).OrHang();

        using var heard = await predecessor.ReceiveAsync(Cancel).OrHang();
        Assert.Equal(0, Assert.IsType<RolledBack>(heard!.Message).Connections);
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        _pair.Dispose();
    }
}
