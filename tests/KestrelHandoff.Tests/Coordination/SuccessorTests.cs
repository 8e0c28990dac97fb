using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Launch;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>A successor against a scripted predecessor: whatever becomes of the one, the other knows whether it must serve.</summary>
public sealed class SuccessorTests : IDisposable
{
    private static readonly StartedAs Shell = new(["/bin/sh"], "/", new Dictionary<string, string>());

    private readonly SocketPair _pair = new();
    private readonly ControlChannel _predecessor;
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly InstanceState _state;
    private readonly ListenerTable _listeners = new(NullLogger<ListenerTable>.Instance);
    private readonly Successor _successor;

    public SuccessorTests()
    {
        _predecessor = new(_pair.Near);
        _state = new(TimeProvider.System, new HandoffMetrics(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>()), NullLogger<InstanceState>.Instance);
        _successor = MakeSuccessor(readiness: null);
    }

    /// <summary>Of the control socket: nobody else listens there.</summary>
    private const string Nowhere = "/nowhere/control.sock";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task StandBy_CommitAndConfirm_Serves()
    {
        await JoinAsync();
        await SayAsync(new Commit(), new Confirm());
        var (control, isAlone) = await _successor.StandByAsync(Cancel).OrHang();
        Assert.Equal((HandoffPhase.Serving, false), (_state.Current.Phase, isAlone));
        Assert.Null(control);
        Assert.Equal(["ready", "accepting", "confirmed"], await HeardAsync(3));
    }

    [Fact]
    public async Task StandBy_CheckedDuringTheProbation_SaysHowItIs()
    {
        await JoinAsync();
        await SayAsync(new Commit(), new Check());
        var standingBy = _successor.StandByAsync(Cancel);
        Assert.Equal(["ready", "accepting", "checked"], await HeardAsync(3));
        await SayAsync(new Confirm());
        await standingBy.OrHang();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task StandBy_RolledBack_MustGiveBackOnTheSameLine(bool isConfirmed)
    {
        await JoinAsync();
        await SayAsync(isConfirmed ? [new Commit(), new Confirm(), new RollBack("sick")] : [new Commit(), new RollBack("sick")]);
        var off = await Assert.ThrowsAsync<RolledBackException>(FollowAsync).OrHang();
        Assert.Equal("sick", off.Message);
        await off.Line.AnswerAsync(new RolledBack(0), Cancel);
        Assert.Equal(isConfirmed ? ["ready", "accepting", "confirmed", "rolledback"] : ["ready", "accepting", "rolledback"], await HeardAsync(isConfirmed ? 4 : 3));

        async Task FollowAsync()
        {
            await _successor.StandByAsync(Cancel);
            await _successor.WaitForRetirementAsync(Cancel);
        }
    }

    [Fact]
    public async Task StandBy_PredecessorGaveUpAndLeftWhileTheAppStarted_MustNotServe()
    {
        await JoinAsync();
        await SayAsync(new Abort("too slow"));
        _pair.Near.Dispose(); // so that Ready cannot even be sent
        var off = await Assert.ThrowsAsync<HandoffException>(() => _successor.StandByAsync(Cancel)).OrHang();
        Assert.Contains("too slow", off.Message, StringComparison.Ordinal);
        Assert.Equal(HandoffPhase.Standby, _state.Current.Phase);
        Assert.False(_listeners.OpensAtBind);
    }

    [Fact]
    public async Task StandBy_PredecessorDiedWhileTheAppStarted_ServesAlone()
    {
        await JoinAsync();
        _pair.Near.Dispose();
        var (_, isAlone) = await _successor.StandByAsync(Cancel).OrHang();
        Assert.True(isAlone);
        Assert.Equal(HandoffPhase.Serving, _state.Current.Phase);
        Assert.True(_listeners.OpensAtBind);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    public async Task StandBy_PredecessorDiedInTheMiddleOfAWord_ServesAlone(int bytes)
    {
        await JoinAsync();
        await _pair.Near.SendDescriptorsAsync(MessageCodec.Encode(new Commit()).AsMemory(0, bytes), [], Cancel);
        _pair.Near.Dispose();
        var (_, isAlone) = await _successor.StandByAsync(Cancel).OrHang();
        Assert.True(isAlone);
    }

    [Fact]
    public async Task StandBy_PredecessorDiedAfterCommit_ServesAlone()
    {
        await JoinAsync();
        await SayAsync(new Commit());
        _pair.Near.Dispose();
        var (_, isAlone) = await _successor.StandByAsync(Cancel).OrHang();
        Assert.True(isAlone);
        Assert.Equal(HandoffPhase.Serving, _state.Current.Phase);
    }

    [Fact]
    public async Task StandBy_CalledOffAfterCommit_MustNotServe()
    {
        await JoinAsync();
        await SayAsync(new Commit(), new Abort("no Accepting"));
        await Assert.ThrowsAsync<HandoffException>(() => _successor.StandByAsync(Cancel)).OrHang();
    }

    [Fact]
    public async Task WaitForRetirement_CalledOffBecauseConfirmedCameTooLate_MustNotServe()
    {
        await JoinAsync();
        await SayAsync(new Commit(), new Confirm(), new Abort("no Confirmed"));
        await _successor.StandByAsync(Cancel).OrHang();
        await Assert.ThrowsAsync<HandoffException>(() => _successor.WaitForRetirementAsync(Cancel)).OrHang();
    }

    [Fact]
    public async Task Join_PredecessorDiedBeforeItOffered_IsGone()
    {
        await SayAsync(new Welcome(1, 1, 2, Guid.NewGuid(), false));
        _pair.Near.Dispose();
        var gone = await Assert.ThrowsAnyAsync<Exception>(() => _successor.JoinAsync(new(_pair.Far), null, Cancel)).OrHang();
        Assert.True(PeerGone.Is(gone), gone.ToString());
        Assert.Equal(HandoffPhase.Starting, _state.Current.Phase);
    }

    [Fact]
    public async Task Join_Refused_SaysWhy()
    {
        await SayAsync(new Refuse("busy", "A handoff is under way since 12:00:00Z."));
        var refused = await Assert.ThrowsAsync<HandoffException>(() => _successor.JoinAsync(new(_pair.Far), null, Cancel)).OrHang();
        Assert.Equal(HandoffFailure.Refused, refused.Failure);
        Assert.Contains("since 12:00:00Z", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task StandBy_CalledOffWhileTheHealthChecksAreRed_MustNotServeAndWaitsNoLonger(bool heedsToken)
    {
        var successor = MakeSuccessor(new NeverReady(heedsToken));
        await JoinAsync(successor);
        await SayAsync(new Abort("no Ready"));
        await Assert.ThrowsAsync<HandoffException>(() => successor.StandByAsync(Cancel)).OrHang();
    }

    [Fact]
    public async Task StandBy_Refused_MustNotServe()
    {
        await JoinAsync();
        await SayAsync(new Commit(), new Refuse("malformed", "no such listener"));
        var off = await Assert.ThrowsAsync<HandoffException>(() => _successor.StandByAsync(Cancel)).OrHang();
        Assert.Contains("no such listener", off.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StandBy_HostStopsAfterCommit_PredecessorSeesTheEnd()
    {
        using var stop = new CancellationTokenSource();
        await JoinAsync();
        await SayAsync(new Commit());
        var standingBy = _successor.StandByAsync(stop.Token);
        Assert.Equal(["ready", "accepting"], await HeardAsync(2));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => standingBy).OrHang();
        Assert.Null(await _predecessor.ReceiveAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task StandBy_AbortHasCrossedConfirm_LeavesEverythingToThePredecessor()
    {
        await JoinAsync();
        await SayAsync(new Commit());
        var standingBy = _successor.StandByAsync(Cancel);
        Assert.Equal(["ready", "accepting"], await HeardAsync(2));
        var asking = _successor.AskToBeRolledBackAsync(Cancel);
        Assert.Equal(["abort"], await HeardAsync(1));

        await SayAsync(new Confirm(), new RollBack("stopping"));

        await Assert.ThrowsAsync<RolledBackException>(() => standingBy).OrHang();
        Assert.True(await asking.OrHang());
        Assert.False(_state.IsConfirmed);
    }

    [Fact]
    public async Task StandBy_PredecessorIsGoneAndTheHealthChecksStayRed_LeavesAfterTheReadyTimeout()
    {
        var time = new ShiftingTime();
        var successor = MakeSuccessor(new NeverReady(), time);
        await JoinAsync(successor);
        _pair.Near.Dispose();
        var standingBy = successor.StandByAsync(Cancel);
        await time.PassAsync(new SocketHandoffOptions().ReadyTimeout);
        var late = await Assert.ThrowsAsync<HandoffException>(() => standingBy).OrHang();
        Assert.Contains("SocketHandoff:ReadyTimeout", late.Message, StringComparison.Ordinal);
    }

    /// <summary>The predecessor's limit may be shorter than this release's own, or longer.</summary>
    [Theory]
    [InlineData(null, 2500)]
    [InlineData(1000, 500)]
    [InlineData(60_000, 2500)]
    [InlineData(-1, 2500)]
    public async Task StandBy_HealthChecksTakeTooLongOnProbation_SaysSoInTime(int? withinMs, int saidAfterMs)
    {
        var time = new ShiftingTime();
        var successor = MakeSuccessor(new SlowToExamine(), time);
        await JoinAsync(successor);
        await SayAsync(new Commit(), new Check { WithinMs = withinMs });
        _ = successor.StandByAsync(Cancel);
        Assert.Equal(["ready", "accepting"], await HeardAsync(2));
        await time.PassAsync(TimeSpan.FromMilliseconds(saidAfterMs));
        using var answer = await _predecessor.ReceiveAsync(Cancel).OrHang();
        Assert.Contains("take longer than half of SocketHandoff:ExchangeTimeout", Assert.IsType<Checked>(answer!.Message).Fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WaitForRetirement_CalledOffAfterThePredecessorHasLetGo_ServesOn(bool byRollBack)
    {
        await JoinAsync();
        await SayAsync(new Commit(), new Confirm(), new Draining([new(1, 1, DateTimeOffset.UnixEpoch)]), byRollBack ? new RollBack("late") : new Abort("late"));
        _pair.Near.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        await _successor.StandByAsync(Cancel).OrHang();
        await _successor.WaitForRetirementAsync(Cancel).OrHang();
        Assert.Equal(HandoffPhase.Serving, _state.Current.Phase);
    }

    [Fact]
    public async Task Check_HealthCheckCannotBeMade_IsAFaultAndNotTheEnd()
    {
        var successor = MakeSuccessor(new ThrowsWhenExamined());
        await JoinAsync(successor);
        await SayAsync(new Commit(), new Check());
        _ = successor.StandByAsync(Cancel);
        Assert.Equal(["ready", "accepting"], await HeardAsync(2));
        using var answer = await _predecessor.ReceiveAsync(Cancel).OrHang();
        var fault = Assert.IsType<Checked>(answer!.Message).Fault!;
        Assert.StartsWith("its health checks cannot be asked: no database", fault, StringComparison.Ordinal);
        Assert.Equal(4096, fault.Length); // a message that is too long could not be sent
    }

    [Fact]
    public async Task WaitForRetirement_HostStops_PredecessorHearsTheEndAtOnce()
    {
        using var stop = new CancellationTokenSource();
        await JoinAsync();
        await SayAsync(new Commit(), new Confirm());
        await _successor.StandByAsync(Cancel).OrHang();
        Assert.Equal(["ready", "accepting", "confirmed"], await HeardAsync(3));
        var retiring = _successor.WaitForRetirementAsync(stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => retiring.OrHang());
        Assert.Null(await _predecessor.ReceiveAsync(Cancel).OrHang()); // and serves on what it would have given away
    }

    [Fact]
    public async Task Commit_HostStopsAlready_AcceptsNobodyAndEndsTheLine()
    {
        await JoinAsync();
        var standBy = _successor.StandByAsync(Cancel);
        Assert.Equal(["ready"], await HeardAsync(1));
        Assert.False(await _successor.AskToBeRolledBackAsync(Cancel).OrHang());
        await SayAsync(new Commit());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => standBy.OrHang());
        Assert.Equal(HandoffPhase.Standby, _state.Current.Phase);
        Assert.Null(await _predecessor.ReceiveAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task Confirm_HostStopsAlready_AsksToLeaveInsteadOfConfirming()
    {
        await JoinAsync();
        await SayAsync(new Commit());
        var standBy = _successor.StandByAsync(Cancel);
        Assert.Equal(["ready", "accepting"], await HeardAsync(2));
        var asking = _successor.AskToBeRolledBackAsync(Cancel);
        await SayAsync(new Confirm()); // crosses it, before or after
        Assert.Equal(["abort"], await HeardAsync(1));
        await SayAsync(new RollBack("asked for"));
        await Assert.ThrowsAsync<RolledBackException>(() => standBy.OrHang());
        Assert.True(await asking.OrHang());
    }

    [Fact]
    public async Task Join_Independent_TellsItsBuild()
    {
        await SayAsync(new Welcome(1, 1, 2, Guid.NewGuid(), false), new Offer([], Last: true));
        await _successor.JoinAsync(new(_pair.Far), null, Cancel).OrHang();
        using var hello = await _predecessor.ReceiveAsync(Cancel).OrHang();
        var build = Assert.IsType<Hello>(hello!.Message).Build;
        Assert.NotNull(build);
        Assert.Equal(LaunchPlan.FindBuild(Shell, new()), build);
    }

    public void Dispose()
    {
        _pair.Dispose();
        _state.Dispose();
        _services.Dispose();
    }

    private Successor MakeSuccessor(IReadiness? readiness, TimeProvider? time = null)
    {
        var registry = new ConnectionRegistry();
        var connections = new ConnectionFactory(new TransportSettings(), null, NullLogger.Instance, registry);
        var deadlines = new Deadlines(Options.Create(new SocketHandoffOptions()), time ?? TimeProvider.System);
        var migration = new Migration(registry, connections, _listeners, TimeProvider.System, NullLogger<Migration>.Instance);
        var arrivals = new Arrivals(_listeners, connections, migration, NullLogger<Arrivals>.Instance);
        var retirement = new Retirement(arrivals, new Lineage(TimeProvider.System), NullLogger<Retirement>.Instance);
        return new(
            _state,
            _listeners,
            connections,
            retirement,
            new SignOfLife(deadlines) { Path = Nowhere },
            new SuccessorHealth(registry, deadlines, readiness),
            Shell,
            deadlines,
            NullLogger<Successor>.Instance,
            readiness);
    }

    private Task JoinAsync() => JoinAsync(_successor);

    private async Task JoinAsync(Successor successor)
    {
        await SayAsync(new Welcome(1, 1, 2, Guid.NewGuid(), false), new Offer([], Last: true));
        await successor.JoinAsync(new(_pair.Far), null, Cancel).OrHang();
        Assert.IsType<Hello>((await _predecessor.ReceiveAsync(Cancel).OrHang())!.Message);
    }

    private async Task SayAsync(params ControlMessage[] words)
    {
        foreach (var word in words)
        {
            await _predecessor.SendAsync(word, Cancel).OrHang();
        }
    }

    private async Task<List<string>> HeardAsync(int count)
    {
        var heard = new List<string>();
        while (heard.Count < count)
        {
            heard.Add((await _predecessor.ReceiveAsync(Cancel).OrHang())!.Message.GetType().Name.ToLowerInvariant());
        }

        return heard;
    }

    private sealed class ThrowsWhenExamined : IReadiness
    {
        public Task WaitAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task<string?> FindFaultAsync(CancellationToken cancellationToken) => throw new OperationCanceledException("no database" + new string('.', ControlProtocol.MaxMessageLength));

        public string? SchemeOf(System.Net.EndPoint endPoint) => null;
    }

    private sealed class SlowToExamine : IReadiness
    {
        public Task WaitAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task<string?> FindFaultAsync(CancellationToken cancellationToken) => new TaskCompletionSource<string?>().Task;

        public string? SchemeOf(System.Net.EndPoint endPoint) => null;
    }

    private sealed class NeverReady(bool heedsToken = true) : IReadiness
    {
        public Task WaitAsync(CancellationToken cancellationToken) =>
            new TaskCompletionSource().Task.WaitAsync(heedsToken ? cancellationToken : CancellationToken.None);

        public Task<string?> FindFaultAsync(CancellationToken cancellationToken) => Task.FromResult<string?>(null);

        public string? SchemeOf(System.Net.EndPoint endPoint) => null;
    }
}
