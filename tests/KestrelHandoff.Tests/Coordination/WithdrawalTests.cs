using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>A successor that is rolled back, as its predecessor sees it.</summary>
public sealed class WithdrawalTests : IAsyncDisposable
{
    private readonly ControlPair _pair = new();
    private readonly ServiceProvider _services = TransportServices.Create(TimeProvider.System);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>The predecessor would take silence for a successor that hangs, and kill it with what it still answers.</summary>
    [Fact]
    public async Task HostStops_ThePredecessorIsToldAllTheSame()
    {
        _services.GetRequiredService<InstanceState>().Move(HandoffSignal.NoPredecessor);

        await _services.GetRequiredService<Withdrawal>()
            .RunAsync(new(new LifeLine(_pair.Successor, [], NullLogger.Instance), new RollBack("sick")), new CancellationToken(canceled: true)).OrHang();

        using var heard = await _pair.Predecessor.ReceiveAsync(Cancel).OrHang();
        var said = Assert.IsType<RolledBack>(heard!.Message);
        Assert.Equal((0, 30_000), (said.Connections, said.DrainMs));
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        _pair.Dispose();
    }
}
