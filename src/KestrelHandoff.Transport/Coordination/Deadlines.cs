using System.Net.Sockets;
using KestrelHandoff.Transport.Control;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>A step of a handoff that has a deadline of its own.</summary>
internal enum HandoffStep
{
    /// <summary>From the launch to the successor's Hello.</summary>
    Launch,

    /// <summary>All else, which a live peer does at once: Connect, Hello, Welcome, Offer, Check, RollBack, Confirm, Migrate, Draining, and what answers them.</summary>
    Exchange,

    /// <summary>From the last Offer to Ready.</summary>
    Ready,

    /// <summary>From Commit to Accepting.</summary>
    Commit,
}

/// <summary>One Polly pipeline a step; a step that takes too long fails with the option to change.</summary>
internal sealed class Deadlines
{
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _connect;
    private readonly Dictionary<HandoffStep, (ResiliencePipeline Pipeline, TimeSpan Limit, string Option)> _steps;

    public Deadlines(IOptions<SocketHandoffOptions> options, TimeProvider time)
    {
        var o = options.Value;
        _time = time;
        _steps = new()
        {
            [HandoffStep.Launch] = (Timeout(o.LaunchTimeout).Build(), o.LaunchTimeout, nameof(o.LaunchTimeout)),
            [HandoffStep.Exchange] = (Timeout(o.ExchangeTimeout).Build(), o.ExchangeTimeout, nameof(o.ExchangeTimeout)),
            [HandoffStep.Ready] = (Timeout(o.ReadyTimeout).Build(), o.ReadyTimeout, nameof(o.ReadyTimeout)),
            [HandoffStep.Commit] = (Timeout(o.CommitTimeout).Build(), o.CommitTimeout, nameof(o.CommitTimeout)),
        };

        // A full backlog (EAGAIN on a Unix socket) passes by itself; nobody listening does not.
        _connect = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<SocketException>(e => e.SocketErrorCode == SocketError.WouldBlock),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(10),
                MaxDelay = TimeSpan.FromMilliseconds(500),
            })
            .Build();

        ResiliencePipelineBuilder Timeout(TimeSpan limit) =>
            new ResiliencePipelineBuilder { TimeProvider = time }.AddTimeout(limit);
    }

    /// <summary>Connects to the control socket.</summary>
    /// <exception cref="SocketException">Nobody listens there.</exception>
    /// <exception cref="HandoffException">It did not come about in time.</exception>
    public async Task<ControlChannel> ConnectAsync(string path, CancellationToken cancellationToken) => await RunAsync(
        HandoffStep.Exchange,
        $"The connection to the control socket '{path}'",
        token => _connect.ExecuteAsync(async stop => await ControlSocket.ConnectAsync(path, stop), token).AsTask(),
        cancellationToken);

    /// <summary>Half of the time that an exchange has: who must answer within it takes no longer himself.</summary>
    /// <param name="withinMs">How long the peer says that it waits: its limit may be shorter.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    public Task HalfOfExchange(int? withinMs, CancellationToken cancellationToken)
    {
        var own = _steps[HandoffStep.Exchange].Limit;
        var peers = withinMs is >= 0 and var ms ? TimeSpan.FromMilliseconds(ms) : own;
        return Task.Delay((own < peers ? own : peers) / 2, _time, cancellationToken);
    }

    public async Task<T> RunAsync<T>(HandoffStep step, string what, Func<CancellationToken, Task<T>> action, CancellationToken cancellationToken)
    {
        var (pipeline, limit, option) = _steps[step];
        try
        {
            return await pipeline.ExecuteAsync(async token => await action(token), cancellationToken);
        }
        catch (TimeoutRejectedException e)
        {
            throw new HandoffException(
                HandoffFailure.Timeout,
                $"{what} did not come within {limit.TotalSeconds:0.###} s ({SocketHandoffOptions.SectionName}:{option}).",
                e);
        }
    }

    public Task RunAsync(HandoffStep step, string what, Func<CancellationToken, Task> action, CancellationToken cancellationToken) =>
        RunAsync(
            step,
            what,
            async token =>
            {
                await action(token);
                return true;
            },
            cancellationToken);

    /// <summary>Receives the message that must come next.</summary>
    /// <exception cref="HandoffException">It did not come in time, or the peer gave up.</exception>
    /// <exception cref="EndOfStreamException">The peer is gone.</exception>
    /// <exception cref="ControlException">Something else came.</exception>
    public Task<(T Message, ControlChannel.Received Received)> ExpectAsync<T>(
        ControlChannel channel, HandoffStep step, CancellationToken cancellationToken)
        where T : ControlMessage => ExpectAsync<T>(channel.ReceiveAsync, step, cancellationToken);

    /// <inheritdoc cref="ExpectAsync{T}(ControlChannel, HandoffStep, CancellationToken)"/>
    public async Task<(T Message, ControlChannel.Received Received)> ExpectAsync<T>(
        Func<CancellationToken, Task<ControlChannel.Received?>> receive, HandoffStep step, CancellationToken cancellationToken)
        where T : ControlMessage
    {
        var received = await RunAsync(step, $"The peer's {typeof(T).Name}", receive, cancellationToken)
            ?? throw new EndOfStreamException($"The peer closed the control connection instead of sending {typeof(T).Name}.");
        if (received.Message is T message)
        {
            return (message, received);
        }

        received.Dispose();
        throw received.Message switch
        {
            Abort abort => new HandoffException(HandoffFailure.Refused, $"The peer gave up: {abort.Detail}"),
            Refuse refuse => new HandoffException(HandoffFailure.Refused, $"The peer refused ({refuse.Reason}): {refuse.Detail}"),
            var other => new ControlException(
                ControlProtocol.Reasons.UnexpectedMessage, $"{other.GetType().Name} came where {typeof(T).Name} was expected."),
        };
    }
}
