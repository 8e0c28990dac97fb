using System.Buffers.Text;
using ZeroDrop.Measure;

namespace ZeroDrop.Load;

/// <summary>What the clients of one generator share.</summary>
/// <param name="Stopping">Ask nothing more.</param>
/// <param name="Aborting">Wait for no answer either.</param>
internal sealed record LoadContext(Recorder Recorder, Pacer Pacer, CancellationToken Stopping, CancellationToken Aborting);

/// <summary>How one client asks.</summary>
/// <param name="Period">Clock ticks from one request to the next, answered or not; 0 asks again when the answer is there.</param>
/// <param name="FirstDelay">Clock ticks before the first request, so that clients do not march in step.</param>
/// <param name="Reuse">Whether a connection is kept for the next request.</param>
internal sealed record LoadPattern(RequestKind Kind, long Period, long FirstDelay, bool Reuse, double TimeoutMs);

/// <summary>
/// One client with at most one connection and one request under way. When an answer comes later than the next request was due, that
/// request counts from the time it was due: a stall is seen by all whom it made wait.
/// </summary>
internal sealed class LoadClient(LoadContext context, LoadPattern pattern, Request request, HttpConnection connection, ulong idBase)
{
    private const double PauseAfterRefusalMs = 20; // at least, for clients without a period: they would spin, and march in step
    private const int UploadPieces = 8;
    private const double UploadPauseMs = 20;

    private readonly Pulse _pulse = new();
    private ulong _id = idBase;
    private int _generation;

    public HttpConnection Connection => connection;

    public async Task RunAsync()
    {
        var due = Clock.Now + pattern.FirstDelay;
        var idleSince = 0L;
        while (true)
        {
            await context.Pacer.UntilAsync(_pulse, due);
            if (context.Stopping.IsCancellationRequested)
            {
                break;
            }

            var began = pattern.Period > 0 && idleSince > due ? due : Clock.Now;
            var failure = await AskAsync(began);
            idleSince = Clock.Now;
            due = pattern.Period > 0 ? due + pattern.Period
                : failure == Failure.Refused ? idleSince + Math.Max(pattern.FirstDelay, Clock.Ticks(PauseAfterRefusalMs))
                : 0;
        }

        connection.Close();
    }

    private async ValueTask<Failure> AskAsync(long began)
    {
        DropIfClosedWhileIdle();
        connection.SetTimeout(pattern.TimeoutMs);
        var answer = connection.IsOpen ? default : Answer.Failed(await OpenAsync());
        if (answer.Failure == Failure.None)
        {
            request.SetId(++_id);
            answer.Failure = await SendAsync();
        }

        if (answer.Failure == Failure.None)
        {
            answer = await connection.ReceiveAsync();
        }

        if (answer.Failure == Failure.None)
        {
            answer.Failure = Check(answer);
        }

        connection.ClearTimeout();
        Note(answer, began);
        return answer.Failure;
    }

    private ValueTask<Failure> OpenAsync()
    {
        _generation = 0;
        return connection.ConnectAsync();
    }

    private void DropIfClosedWhileIdle()
    {
        if (connection.IsOpen && connection.LookWhileIdle() is not IdleState.Open and var state)
        {
            context.Recorder.KeepAlive.NoteSilentClose(_generation);
            if (state == IdleState.Reset)
            {
                context.Recorder.NoteReset();
            }

            connection.Close();
        }
    }

    private async ValueTask<Failure> SendAsync()
    {
        var failure = await connection.SendAsync(request.Head);
        var body = request.Body;
        var piece = Math.Max(1, body.Length / UploadPieces);
        while (failure == Failure.None && !body.IsEmpty)
        {
            failure = await connection.SendAsync(body[..Math.Min(piece, body.Length)]);
            body = body[Math.Min(piece, body.Length)..];
            await context.Pacer.UntilAsync(_pulse, Clock.Now + Clock.Ticks(UploadPauseMs)); // so that a handoff meets half a body
        }

        return failure;
    }

    private Failure Check(in Answer answer)
    {
        if (answer.Status != 200)
        {
            return Failure.Status;
        }

        var bodyIsRight = request.BodyLength == 0
            ? answer.BodyLength > 0
            : Utf8Parser.TryParse(connection.Body(answer), out int count, out _) && count == request.BodyLength;
        return answer.RequestId == _id && answer.Generation > 0 && bodyIsRight ? Failure.None : Failure.Mismatch;
    }

    private void Note(in Answer answer, long began)
    {
        if (answer.Failure != Failure.None)
        {
            connection.Close();
            context.Recorder.NoteFailure(pattern.Kind, answer.Failure, answer.Status);
            return;
        }

        context.Recorder.NoteAnswer(pattern.Kind, began, answer.Generation);
        if (pattern.Reuse)
        {
            _generation = context.Recorder.KeepAlive.NoteAnswer(_generation, answer.Generation, answer.Close);
        }

        if (!pattern.Reuse || answer.Close)
        {
            connection.Close();
        }
    }
}
