using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>What the predecessor makes of the answers of a scripted successor.</summary>
public sealed class ProbationWatchTests : IDisposable
{
    private readonly ControlPair _pair = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Ill_Fails()
    {
        var e = await Assert.ThrowsAsync<HandoffException>(() => WatchAsync(CancellationToken.None));
        Assert.Equal(HandoffFailure.Unhealthy, e.Failure);
    }

    /// <summary>To take everything back into a process that exits would leave nobody.</summary>
    [Fact]
    public Task IllAndTheHostOfThePredecessorStops_Passes() => WatchAsync(new CancellationToken(canceled: true));

    public void Dispose() => _pair.Dispose();

    private async Task WatchAsync(CancellationToken ending)
    {
        var options = Options.Create(new SocketHandoffOptions());
        var watch = new ProbationWatch(options, new Deadlines(options, TimeProvider.System), TimeProvider.System, NullLogger<ProbationWatch>.Instance);
        var hello = new Hello(1, 1, 42) { Capabilities = [ControlProtocol.Capabilities.Probation] };
        var watching = watch.WatchAsync(new Handoff(HandoffTrigger.Independent, 1, TimeProvider.System), new(_pair.Predecessor, hello), ending);
        using var asked = await _pair.Successor.ReceiveAsync(Cancel).OrHang();
        Assert.IsType<Check>(asked!.Message);
        await _pair.Successor.SendAsync(new Checked(0) { Fault = "ill" }, Cancel).OrHang();
        await watching.OrHang();
    }
}
