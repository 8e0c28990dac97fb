using System.IO.Pipelines;

namespace KestrelHandoff.Transport.Connections;

/// <summary>
/// The pipes as the server has them. Reads go through the connection, which knows by them whether the server waits between two
/// exchanges with nothing unread: there, and only there, the connection can change hands without the client noticing.
/// </summary>
internal sealed class BoundaryPipe(HandoffConnection connection, PipeReader input, PipeWriter output) : PipeReader, IDuplexPipe
{
    public PipeReader Input => this;

    public PipeWriter Output => output;

    /// <summary>The reader itself, for who takes what is left.</summary>
    public PipeReader Inner => input;

    /// <summary>A read is under way, or its result was not advanced over.</summary>
    public bool IsReading { get; set; }

    /// <summary>The server has ended a read of its own.</summary>
    public bool IsReadCanceled { get; private set; }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => connection.ReadAsync(input, cancellationToken);

    public override bool TryRead(out ReadResult result)
    {
        if (!input.TryRead(out result))
        {
            return false;
        }

        IsReading = true;
        connection.Touch(); // who does not wait is not held, and what he takes is there for nobody else
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (connection.IsOfInput(consumed))
        {
            IsReading = false;
            input.AdvanceTo(consumed, examined);
        }
    }

    /// <summary>Whoever read is done, and has not said how far he came when he was told to stop: no further.</summary>
    public void EndRead()
    {
        if (IsReading)
        {
            IsReading = false;
            input.AdvanceTo(default);
        }
    }

    public override void CancelPendingRead()
    {
        IsReadCanceled = true;
        if (!connection.IsReadMadeUp) // that one is cancelled already
        {
            input.CancelPendingRead();
        }
    }

    public override void Complete(Exception? exception = null)
    {
        if (!connection.IsHeld)
        {
            input.Complete(exception);
        }
    }
}
