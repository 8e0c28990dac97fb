using System.Net;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Diagnostics;

/// <summary>Every log line of the handoff. Ids are a public contract: add, never renumber or reuse. Connections have theirs in ConnectionLog.</summary>
internal static partial class Log
{
    // 1xx: predecessor

    [LoggerMessage(100, LogLevel.Information, "Handoff {HandoffId}: begun ({Trigger}).")]
    public static partial void Begun(ILogger logger, Guid handoffId, HandoffTrigger trigger);

    [LoggerMessage(101, LogLevel.Information, "Handoff {HandoffId}: launched the successor, process {ProcessId}: {Executable}.")]
    public static partial void Launched(ILogger logger, Guid handoffId, int processId, string executable);

    [LoggerMessage(102, LogLevel.Information, "Handoff {HandoffId}: process {ProcessId} serves, after {DurationMs} ms; {Migrated} connections moved, {Connections} are left.")]
    public static partial void Completed(ILogger logger, Guid handoffId, int processId, double durationMs, int migrated, int connections);

    [LoggerMessage(103, LogLevel.Error, "Handoff {HandoffId} failed while {Phase}; this instance goes on serving. {Detail}")]
    public static partial void Failed(ILogger logger, Guid handoffId, HandoffPhase phase, string detail, Exception? exception);

    [LoggerMessage(104, LogLevel.Debug, "Handoff phase {From} -> {To} on {Signal}, after {DurationMs:0.0} ms.")]
    public static partial void Moved(ILogger logger, HandoffPhase from, HandoffPhase to, HandoffSignal signal, double durationMs);

    [LoggerMessage(105, LogLevel.Information, "Draining {Connections} connections, for at most {Seconds} s.")]
    public static partial void Draining(ILogger logger, int connections, double seconds);

    [LoggerMessage(106, LogLevel.Information, "Retiring: {Migrated} connections went to the other instance, {Drained} have ended, {Aborted} are still open and closed now.")]
    public static partial void Retiring(ILogger logger, int migrated, int drained, int aborted);

    [LoggerMessage(107, LogLevel.Information, "Listener {Name} ({EndPoint}): not an endpoint of the instance that serves from now on; closed.")]
    public static partial void ListenerClosed(ILogger logger, string name, EndPoint endPoint);

    [LoggerMessage(108, LogLevel.Error, "A callback of the app on Retiring failed; the drain goes on.")]
    public static partial void RetiringCallbackFailed(ILogger logger, Exception exception);

    [LoggerMessage(109, LogLevel.Error, "Handoff {HandoffId}: the successor, process {ProcessId}, could not be killed.")]
    public static partial void NotKilled(ILogger logger, Guid handoffId, int processId);

    [LoggerMessage(110, LogLevel.Warning, "{Count} connections moved to the other instance; no more do, the others are served here to their end.")]
    public static partial void MigrationEnded(ILogger logger, int count, Exception exception);

    [LoggerMessage(111, LogLevel.Information, "Handoff {HandoffId}: process {ProcessId} accepts; on probation for {Seconds} s.")]
    public static partial void OnProbation(ILogger logger, Guid handoffId, int processId, double seconds);

    [LoggerMessage(112, LogLevel.Error, "Handoff {HandoffId} rolled back while {Phase}; this instance accepts again. {Returned} connections came back so far, {Lost} were lost with the successor. {Detail}")]
    public static partial void RolledBack(ILogger logger, Guid handoffId, HandoffPhase phase, int returned, int lost, string detail, Exception? exception);

    [LoggerMessage(113, LogLevel.Warning, "Handoff {HandoffId}: the successor did not give back what it had accepted.")]
    public static partial void NotReturned(ILogger logger, Guid handoffId, Exception exception);

    [LoggerMessage(114, LogLevel.Error, "Connection {ConnectionId} could not be told to end.")]
    public static partial void NotWanted(ILogger logger, string connectionId, Exception exception);

    [LoggerMessage(115, LogLevel.Error, "Handoff {HandoffId}: what the successor leaves could not all be removed.")]
    public static partial void NotRemoved(ILogger logger, Guid handoffId, Exception exception);

    [LoggerMessage(116, LogLevel.Error, "The drain failed; this instance stops.")]
    public static partial void DrainFailed(ILogger logger, Exception exception);

    // 2xx: successor

    [LoggerMessage(200, LogLevel.Information, "Handoff {HandoffId}: joined process {ProcessId} as generation {Generation}; it offers {Count} listeners.")]
    public static partial void Joined(ILogger logger, Guid handoffId, int processId, int generation, int count);

    [LoggerMessage(201, LogLevel.Information, "Handoff {HandoffId}: the predecessor, process {ProcessId}, has exited; {Migrated} connections came from it, {Drained} ended there, {Aborted} were cut.")]
    public static partial void PredecessorGone(ILogger logger, Guid handoffId, int processId, int migrated, int drained, int aborted);

    [LoggerMessage(202, LogLevel.Information, "Nobody serves at the control socket {Path}; starting without a predecessor.")]
    public static partial void NoPredecessor(ILogger logger, string path);

    [LoggerMessage(203, LogLevel.Warning, "The predecessor is gone and left no word; this instance serves on its listeners.")]
    public static partial void Alone(ILogger logger);

    [LoggerMessage(204, LogLevel.Critical, "This instance must not serve, and stops.")]
    public static partial void MustNotServe(ILogger logger, Exception exception);

    [LoggerMessage(205, LogLevel.Debug, "The predecessor was gone before it had heard {Message}.")]
    public static partial void NotHeard(ILogger logger, string message);

    [LoggerMessage(206, LogLevel.Debug, "Took {Count} live connections from the other instance.")]
    public static partial void ConnectionsTaken(ILogger logger, int count);

    [LoggerMessage(207, LogLevel.Error, "Connection {ConnectionId}, which the other instance has given away, could not be continued; it is closed.")]
    public static partial void ConnectionNotTaken(ILogger logger, string connectionId, Exception exception);

    [LoggerMessage(208, LogLevel.Critical, "Rolled back: the predecessor serves again. This instance accepts no more, gives its connections back, and stops. {Detail}")]
    public static partial void MustLeave(ILogger logger, string detail);

    [LoggerMessage(209, LogLevel.Error, "Handoff {HandoffId}: what the predecessor says cannot be understood; it is not listened to any more. This instance serves on.")]
    public static partial void PredecessorGarbled(ILogger logger, Guid handoffId, Exception exception);

    [LoggerMessage(210, LogLevel.Warning, "This instance is being stopped on probation, and the predecessor does not take back what it serves. {Reason}")]
    public static partial void NotTakenBack(ILogger logger, string reason);

    [LoggerMessage(211, LogLevel.Error, "This instance follows its predecessor no more; it serves on.")]
    public static partial void NotFollowed(ILogger logger, Exception exception);

    [LoggerMessage(212, LogLevel.Warning, "Not everything this instance had accepted could be given back; what is left is served here to its end.")]
    public static partial void NotGivenBack(ILogger logger, Exception exception);

    [LoggerMessage(213, LogLevel.Error, "This instance serves alone, and could not put off the marks of its start: its priority stays low, or its output is lost.")]
    public static partial void NotSettled(ILogger logger, Exception exception);

    // 3xx: control socket

    [LoggerMessage(300, LogLevel.Warning, "Control socket: refused process {ProcessId} of uid {UserId}. {Reason}")]
    public static partial void ControlRefused(ILogger logger, int processId, uint userId, string reason);

    [LoggerMessage(301, LogLevel.Error, "Control socket {Path}: accept failed.")]
    public static partial void ControlAcceptFailed(ILogger logger, string path, Exception exception);

    [LoggerMessage(302, LogLevel.Error, "The control socket {Path} cannot be had; no successor will find this instance there. It goes on serving.")]
    public static partial void NoControlSocket(ILogger logger, string path, Exception exception);

    [LoggerMessage(304, LogLevel.Error, "Another instance answers at the control socket {Path}: successors find that one. This one goes on serving.")]
    public static partial void ControlTaken(ILogger logger, string path);

    [LoggerMessage(303, LogLevel.Warning, "The control socket {Path} was deleted or replaced; made again.")]
    public static partial void ControlRestored(ILogger logger, string path);

    // 4xx: listeners

    [LoggerMessage(400, LogLevel.Debug, "Listener {Name}: bound to {EndPoint}.")]
    public static partial void ListenerBound(ILogger logger, string name, EndPoint endPoint);

    [LoggerMessage(401, LogLevel.Information, "Listener {Name}: adopted from the predecessor, bound to {EndPoint}.")]
    public static partial void ListenerAdopted(ILogger logger, string name, EndPoint endPoint);

    [LoggerMessage(402, LogLevel.Information, "Listener {Name} ({EndPoint}): offered by the predecessor, but no endpoint of this instance; not adopted.")]
    public static partial void ListenerUnclaimed(ILogger logger, string name, EndPoint endPoint);

    [LoggerMessage(403, LogLevel.Warning, "Listener {Name}: accept failed; trying again in {DelayMs} ms.")]
    public static partial void AcceptFailed(ILogger logger, string name, double delayMs, Exception exception);
}
