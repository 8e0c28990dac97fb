using System.Diagnostics.Metrics;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace KestrelHandoff.Tests.Coordination;

public sealed class InstanceStateTests : IDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch);
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly RecordingLogger<InstanceState> _logger = new();
    private readonly InstanceState _state;

    public InstanceStateTests() => _state = new(_time, new HandoffMetrics(_services.GetRequiredService<IMeterFactory>()), _logger);

    [Fact]
    public void New_IsAStartingFirstGeneration()
    {
        Assert.Equal((HandoffPhase.Starting, DateTimeOffset.UnixEpoch), _state.Current);
        Assert.Equal(1, _state.Generation);
        Assert.False(_state.Activated.IsCompleted);
        Assert.False(_state.Retiring.IsCancellationRequested);
    }

    [Fact]
    public async Task TryMove_LegalSignal_MovesAndSaysSince()
    {
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.True(_state.TryMove(HandoffSignal.NoPredecessor));
        Assert.Equal((HandoffPhase.Serving, DateTimeOffset.UnixEpoch.AddSeconds(3)), _state.Current);
        Assert.Equal("Handoff phase Starting -> Serving on NoPredecessor, after 3000.0 ms.", (await _logger.NextAsync(104)).Text);
    }

    [Fact]
    public void TryMove_SignalWithoutMeaning_ChangesNothing()
    {
        var moves = 0;
        _state.Left += (_, _) => moves++;
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.False(_state.TryMove(HandoffSignal.Drained));
        Assert.Equal((HandoffPhase.Starting, DateTimeOffset.UnixEpoch), _state.Current);
        Assert.Equal(0, moves);
    }

    [Fact]
    public void Move_SignalWithoutMeaning_ThrowsWithPhaseAndSignal()
    {
        var thrown = Assert.Throws<InvalidOperationException>(() => _state.Move(HandoffSignal.Drained));
        Assert.Equal("An instance that is Starting cannot take the signal Drained.", thrown.Message);
    }

    [Fact]
    public void Left_EachMove_HasThePhaseLeftAndTheTimeInIt()
    {
        var left = new List<(HandoffPhase, TimeSpan)>();
        _state.Left += (phase, took) => left.Add((phase, took));
        Go((2, HandoffSignal.NoPredecessor), (5, HandoffSignal.Requested), (1, HandoffSignal.Failed));
        Assert.Equal(
            [
                (HandoffPhase.Starting, TimeSpan.FromSeconds(2)),
                (HandoffPhase.Serving, TimeSpan.FromSeconds(5)),
                (HandoffPhase.Launching, TimeSpan.FromSeconds(1)),
            ],
            left);
    }

    [Fact]
    public void Left_Handler_SeesThePhaseEntered()
    {
        var seen = HandoffPhase.Starting;
        _state.Left += (_, _) => seen = _state.Current.Phase;
        _state.Move(HandoffSignal.NoPredecessor);
        Assert.Equal(HandoffPhase.Serving, seen);
    }

    [Fact]
    public void Metrics_EachMove_RecordsThePhaseLeft()
    {
        using var collector = new MeterListener();
        var recorded = new List<(double, string?)>();
        collector.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == "handoff.phase.duration" && instrument.Meter.Scope == _services.GetRequiredService<IMeterFactory>())
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        collector.SetMeasurementEventCallback<double>((_, seconds, tags, _) => recorded.Add((seconds, tags[0].Value as string)));
        collector.Start();
        Go((2, HandoffSignal.NoPredecessor));
        Assert.Equal([(2.0, "starting")], recorded);
    }

    [Fact]
    public void Activated_FirstInstance_CompletesWhenItServes()
    {
        _state.Move(HandoffSignal.NoPredecessor);
        Assert.True(_state.Activated.IsCompletedSuccessfully);
    }

    [Fact]
    public void Activated_Successor_CompletesAtTheCommitOnly()
    {
        Go((0, HandoffSignal.Offered), (0, HandoffSignal.AppReady));
        Assert.False(_state.Activated.IsCompleted);
        _state.Move(HandoffSignal.Committed);
        Assert.True(_state.Activated.IsCompletedSuccessfully);
    }

    [Fact]
    public void Retiring_IsCancelledWhenTheDrainBeginsAndNotByAFailure()
    {
        Go((0, HandoffSignal.NoPredecessor), (0, HandoffSignal.Requested), (0, HandoffSignal.Failed));
        Assert.False(_state.Retiring.IsCancellationRequested);
        GoToConfirming();
        Assert.False(_state.Retiring.IsCancellationRequested);
        _state.Move(HandoffSignal.Confirmed);
        Assert.True(_state.Retiring.IsCancellationRequested);
    }

    [Fact]
    public async Task Retiring_AppsCallbackThrows_TheMoveIsDoneAndTheFaultIsLogged()
    {
        _state.Move(HandoffSignal.NoPredecessor);
        GoToConfirming();
        using var registration = _state.Retiring.Register(() => throw new InvalidTimeZoneException("the app's"));
        _state.Move(HandoffSignal.Confirmed);
        Assert.Equal(HandoffPhase.Draining, _state.Current.Phase);
        Assert.Contains("the app's", (await _logger.NextAsync(108)).Exception!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TryMove_ManyAtOnce_ExactlyOneTakesTheMove()
    {
        _state.Move(HandoffSignal.NoPredecessor);
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var callers = Enumerable.Range(0, 8).Select(async _ =>
        {
            await start.Task;
            return _state.TryMove(HandoffSignal.Requested);
        }).ToArray();
        start.SetResult();
        Assert.Single(await Task.WhenAll(callers).OrHang(), taken => taken);
    }

    public void Dispose()
    {
        _state.Dispose();
        _services.Dispose();
    }

    private void GoToConfirming() => Go(
        (0, HandoffSignal.SuccessorConnected), (0, HandoffSignal.SuccessorReady), (0, HandoffSignal.ProbePassed), (0, HandoffSignal.SuccessorAccepts),
        (0, HandoffSignal.ProbationPassed));

    private void Go(params ReadOnlySpan<(int Seconds, HandoffSignal Signal)> steps)
    {
        foreach (var (seconds, signal) in steps)
        {
            _time.Advance(TimeSpan.FromSeconds(seconds));
            _state.Move(signal);
        }
    }
}
