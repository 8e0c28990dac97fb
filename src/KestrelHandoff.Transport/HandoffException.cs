namespace KestrelHandoff;

/// <summary>Why a handoff failed. This instance goes on serving, unless it has been replaced already or is being stopped.</summary>
public enum HandoffFailure
{
    /// <summary>A handoff is already under way, or this instance has already been replaced.</summary>
    AlreadyRunning,

    /// <summary>This instance cannot hand off here, such as PID 1 of a container, which must not exit.</summary>
    NotPossible,

    /// <summary>Too many handoffs to the same build have failed in a row.</summary>
    Suspended,

    /// <summary>Too many earlier instances still drain.</summary>
    TooManyDraining,

    /// <summary>The successor could not be launched.</summary>
    LaunchFailed,

    /// <summary>The successor exited, or closed its control connection, before it was confirmed.</summary>
    SuccessorExited,

    /// <summary>The successor did not take a step within its time.</summary>
    Timeout,

    /// <summary>The successor said that it cannot take over, or the predecessor that it will not hand off.</summary>
    Refused,

    /// <summary>The peer broke the control protocol.</summary>
    ProtocolError,

    /// <summary>The successor answered a probe request wrongly.</summary>
    ProbeFailed,

    /// <summary>The successor's health checks failed after the commit.</summary>
    Unhealthy,

    /// <summary>The host was stopped while the handoff was under way.</summary>
    Stopped,
}

/// <summary>A handoff failed; its <see cref="Failure"/> says why.</summary>
public sealed class HandoffException : Exception
{
    /// <summary>Makes an exception for a failed handoff.</summary>
    /// <param name="failure">The kind of failure.</param>
    /// <param name="message">What failed, with which value, and what to do.</param>
    /// <param name="innerException">The cause, if another exception was.</param>
    public HandoffException(HandoffFailure failure, string message, Exception? innerException = null)
        : base(message, innerException) => Failure = failure;

    /// <summary>The kind of failure.</summary>
    public HandoffFailure Failure { get; }

    /// <summary>The report up to the failure; null when the handoff was refused before it began.</summary>
    public HandoffReport? Report { get; init; }
}
