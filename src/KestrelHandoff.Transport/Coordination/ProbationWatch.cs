using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// The time after the commit in which the successor has to prove itself: that it lives shows on the life-line, that it does not hang and is well
/// in its answers.
/// </summary>
internal sealed class ProbationWatch(IOptions<SocketHandoffOptions> options, Deadlines deadlines, TimeProvider time, ILogger<ProbationWatch> logger)
{
    /// <summary>Questions in a probation.</summary>
    private const int Checks = 10;

    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private int WithinMs { get; } = (int)options.Value.ExchangeTimeout.TotalMilliseconds;

    /// <summary>Returns when the successor has passed.</summary>
    /// <param name="handoff">Learns how many connections the successor has.</param>
    /// <param name="greeting">The successor.</param>
    /// <param name="ending">The host stops: the successor, which has clients already, has passed.</param>
    /// <exception cref="Exception">It has not.</exception>
    public async Task WatchAsync(Handoff handoff, Greeting greeting, CancellationToken ending)
    {
        var length = options.Value.Probation;
        if (length == TimeSpan.Zero || !greeting.Hello.Capabilities.Contains(ControlProtocol.Capabilities.Probation))
        {
            return;
        }

        Log.OnProbation(logger, handoff.Id, greeting.Hello.ProcessId, length.TotalSeconds);
        var pause = length / Checks < LongestPause ? length / Checks : LongestPause;
        var started = time.GetTimestamp();
        do
        {
            await CheckAsync(handoff, greeting.Channel, pause, ending);
        }
        while (!ending.IsCancellationRequested && time.GetElapsedTime(started) < length);
    }

    private async Task CheckAsync(Handoff handoff, ControlChannel channel, TimeSpan pause, CancellationToken ending)
    {
        var answer = channel.ReceiveAsync(CancellationToken.None); // before the pause: the end of the life-line is heard at once
        try
        {
            await AskAsync(handoff, channel, answer, pause, ending);
        }
        catch
        {
            ControlChannel.Received.Ignore(answer);
            throw;
        }
    }

    private async Task AskAsync(Handoff handoff, ControlChannel channel, Task<ControlChannel.Received?> answer, TimeSpan pause, CancellationToken ending)
    {
        await Task.WhenAny(answer, Task.Delay(pause, time, ending));
        if (answer.IsCompletedSuccessfully && await answer is { Message: Checked } early)
        {
            early.Dispose();
            throw new ControlException(ControlProtocol.Reasons.UnexpectedMessage, "Checked came, and nothing was asked.");
        }

        if (!answer.IsCompleted)
        {
            await deadlines.RunAsync(HandoffStep.Exchange, "Sending Check", token => channel.SendAsync(new Check { WithinMs = WithinMs }, token), CancellationToken.None);
        }

        var (said, _) = await deadlines.ExpectAsync<Checked>(token => answer.WaitAsync(token), HandoffStep.Exchange, CancellationToken.None);
        handoff.SuccessorConnections = said.Connections;
        if (said.Fault is { } fault && !ending.IsCancellationRequested) // nobody else serves
        {
            throw new HandoffException(HandoffFailure.Unhealthy, $"The successor was not well during its probation: {fault}");
        }
    }
}
