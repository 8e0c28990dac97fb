using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>A predecessor that takes everything back, from a scripted successor.</summary>
public sealed class RecallTests : IDisposable
{
    private readonly ControlPair _pair = new();
    private readonly Lineage _lineage = new(TimeProvider.System);
    private readonly ShiftingTime _time = new();
    private readonly Recall _recall;

    public RecallTests()
    {
        var options = Options.Create(new SocketHandoffOptions());
        _recall = new(
            options, launcher: null!, arrivals: null!, _lineage, new Deadlines(options, TimeProvider.System), _time, NullLogger<Recall>.Instance);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>It was examined, found ill and told to stop at the same time, and obeys all the same.</summary>
    [Fact]
    public async Task Begin_WhatTheSuccessorSaidBeforeItHeardCrosses_IsNoReasonToKillIt()
    {
        ControlMessage[] said = [new Checked(1) { Fault = "ill" }, new Abort("This instance is being stopped."), new RolledBack(0)];
        foreach (var message in said)
        {
            await _pair.Successor.SendAsync(message, Cancel).OrHang();
        }

        await BeginAsync();

        using var heard = await _pair.Successor.ReceiveAsync(Cancel).OrHang();
        var rollBack = Assert.IsType<RollBack>(heard!.Message);
        Assert.Equal(("ill", 5000), (rollBack.Detail, rollBack.WithinMs));
        Assert.Equal(42, Assert.Single(_lineage.Draining).ProcessId);
    }

    /// <summary>A new release may have longer to drain than this one; what it says is believed as far as an option could go.</summary>
    [Theory]
    [InlineData(null, 30)]
    [InlineData(600_000L, 600)]
    [InlineData(-1L, 0)]
    [InlineData(long.MaxValue, 86_400)]
    public async Task Begin_SuccessorThatDrains_HasItsOwnTimeForThat(long? drainMs, int drainSeconds)
    {
        await _pair.Successor.SendAsync(new RolledBack(0) { DrainMs = drainMs }, Cancel).OrHang();
        await BeginAsync();
        using var heard = await _pair.Successor.ReceiveAsync(Cancel).OrHang();

        await _time.PassAsync(TimeSpan.FromSeconds(drainSeconds + 30 + 5)); // HostOptions.ShutdownTimeout and ExchangeTimeout

        Assert.Null(await _pair.Successor.ReceiveAsync(Cancel).OrHang());
        await _lineage.WhenNone().OrHang();
    }

    /// <summary>Whatever came now would be closed with the host.</summary>
    [Fact]
    public async Task Stop_SuccessorStillDrains_SeesTheEndOfTheLine()
    {
        await _pair.Successor.SendAsync(new RolledBack(0), Cancel).OrHang();
        await BeginAsync();
        using var heard = await _pair.Successor.ReceiveAsync(Cancel).OrHang();

        _recall.Stop();

        Assert.Null(await _pair.Successor.ReceiveAsync(Cancel).OrHang());
        await _lineage.WhenNone().OrHang();
        Assert.Null(_lineage.LastRetired);
    }

    public void Dispose()
    {
        _recall.Dispose();
        _pair.Dispose();
    }

    private Task BeginAsync() =>
        _recall.BeginAsync(new Handoff(HandoffTrigger.Independent, 1, TimeProvider.System), new(_pair.Predecessor, new Hello(1, 1, 42)), new InvalidOperationException("ill")).OrHang();
}
