namespace ZeroDrop.Load;

/// <summary>Why a request has no complete and valid answer.</summary>
internal enum Failure : byte
{
    None,

    /// <summary>The connection could not be made.</summary>
    Refused,

    /// <summary>ECONNRESET or EPIPE while the request was under way.</summary>
    Reset,

    /// <summary>The connection ended before the answer was complete.</summary>
    EndOfStream,

    /// <summary>No complete answer in time.</summary>
    TimedOut,

    /// <summary>A complete answer with another status than 200.</summary>
    Status,

    /// <summary>A complete answer to another request, or with a wrong body.</summary>
    Mismatch,

    /// <summary>Bytes that are no HTTP/1.1 answer, or more than one answer.</summary>
    Malformed,
}

/// <summary>One parsed answer; the body lies in the connection's buffer until the next request.</summary>
internal struct Answer
{
    public Failure Failure;
    public int Status;
    public int Generation;
    public ulong RequestId;
    public bool Close;

    /// <summary>Bytes of head and body as received.</summary>
    public int Length;
    public int BodyStart;

    /// <summary>Bytes of the body without its framing.</summary>
    public int BodyLength;

    public static Answer Failed(Failure failure) => new() { Failure = failure };
}
