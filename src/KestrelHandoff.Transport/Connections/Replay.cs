using System.IO.Pipelines;

namespace KestrelHandoff.Transport.Connections;

/// <summary>How a moved connection comes to where it was: the server is asked again, and the client, who has its answer, does not hear this one.</summary>
/// <param name="Request">The bytes that the server reads first.</param>
/// <param name="Answer">What the client was answered, as far as what follows depends on it: the new answer must be the same.</param>
internal sealed record Replay(byte[] Request, string Answer);

/// <summary>What the server above the transport knows of answers.</summary>
internal interface IReplayOutput
{
    /// <summary>Keeps the answer to the replayed request to itself. If it is another than the client had, ends the connection in the way of its protocol.</summary>
    ReplayedOutput Behind(PipeWriter output, Replay replay);
}

/// <summary>The output of a connection whose server is asked again.</summary>
internal abstract class ReplayedOutput : PipeWriter
{
    /// <summary>Whether the answer was the one the client had. Until it is known to be, nothing of the client's may reach the server: it would read it as requests.</summary>
    public abstract Task<bool> IsSame { get; }
}
