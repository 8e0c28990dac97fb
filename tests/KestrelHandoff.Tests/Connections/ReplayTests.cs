using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Http;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;

namespace KestrelHandoff.Tests.Connections;

/// <summary>A connection whose server is asked again, from the request to the answer. The test plays the server.</summary>
public sealed class ReplayTests
{
    private const string Request = "GET /events HTTP/1.1\r\n\r\n";
    private const string Head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

    private static readonly string Answer = EventStreamAnswer.Describe(name => name == "Content-Type" ? EventStreamAnswer.ContentType : null);

    [Fact]
    public async Task AnotherAnswer_ClientIsToldTheEndAndTheHandlerThatItIsGone()
    {
        await using var pair = await AskAsync();
        await pair.WriteAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(EventStreamAnswer.End, await pair.Client.ReceiveToEndAsync()); // not reset
        await pair.Connection.ClosedAsync(); // a handler that only writes waits for nothing else
    }

    [Fact]
    public async Task AnotherAnswer_TheConnectionIsNotTakenAgain()
    {
        await using var pair = await AskAsync();
        pair.Connection.BeginExchange();
        await pair.WriteAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        pair.Connection.EndExchange(isWhole: true);
        pair.Connection.Want(static _ => ValueTask.CompletedTask, out _);
        _ = pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).OrHang();
        Assert.False(pair.Connection.IsHeld);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClientLeavesBeforeTheAnswer_HandlerIsTold(bool byReset)
    {
        await using var pair = await AskAsync();
        if (byReset)
        {
            pair.Client.Close(0);
            await pair.Connection.ClosedAsync();
            await Assert.ThrowsAsync<ConnectionResetException>(() => pair.Connection.ReadExactlyAsync(1));
        }
        else
        {
            pair.Client.Shutdown(SocketShutdown.Send);
            await pair.Connection.ClosedAsync();
            Assert.True((await pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).OrHang()).IsCompleted);
        }
    }

    [Fact]
    public async Task ServerAbortsBeforeTheAnswer_HandlerIsTold()
    {
        await using var pair = await AskAsync();
        pair.Connection.Abort(new ConnectionAbortedException("test"));
        await pair.Connection.ClosedAsync();
        await Assert.ThrowsAsync<SocketException>(pair.Client.ReceiveToEndAsync);
    }

    [Fact]
    public async Task ClientSendsBeforeTheAnswer_TheServerHasItAfterwards()
    {
        await using var pair = await AskAsync(received: "one");
        await pair.SendAsync("two");
        await pair.WriteAsync(Head + "event");
        Assert.Equal("event", await pair.Client.ReceiveTextAsync(5));
        Assert.Equal("onetwo", await pair.Connection.ReadTextAsync(6));
    }

    [Fact]
    public async Task ServerHasWhatCameBefore_ConnectionIsNotAtRest()
    {
        await using var pair = await AskAsync(received: "half a frame");
        pair.Connection.Speak(Frames());
        var read = pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask();
        await pair.WriteAsync(Head);
        await read.OrHang();
        Assert.False(pair.Connection.Want(static _ => ValueTask.CompletedTask, out _)); // what the server has seen it would never be done with
    }

    [Fact]
    public async Task HeldBeforeWhatCameBefore_ItGoesAlong()
    {
        var replays = new Replays();
        await using var pair = await ConnectionPair.ReplayAsync(replays, Request, Answer, received: "frames");
        await pair.Connection.ReadTextAsync(Request.Length);
        pair.Connection.Speak(Frames());
        var read = pair.Connection.Transport.Input.ReadAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.True(pair.Connection.Want(static _ => ValueTask.CompletedTask, out _));
        Assert.True((await read.OrHang()).IsCanceled); // a release is for a server that is done
        replays.Answered.SetResult(true);
        using var released = await pair.ReleaseAsync();
        Assert.Equal("frames", Encoding.ASCII.GetString(released!.Leftover.Span));
    }

    private static async Task<ConnectionPair> AskAsync(string received = "")
    {
        var pair = await ConnectionPair.ReplayAsync(new ReplayOutput(), Request, Answer, received);
        Assert.Equal(Request, await pair.Connection.ReadTextAsync(Request.Length));
        return pair;
    }

    /// <summary>A conversation of both sides that is always between two messages, and can go on elsewhere.</summary>
    private static StubMessages Frames() => new() { Replay = new([], ""), IsOneWay = false, Holds = static () => true };

    /// <summary>The answer is known when the test says so.</summary>
    private sealed class Replays : IReplayOutput
    {
        public TaskCompletionSource<bool> Answered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ReplayedOutput Behind(PipeWriter output, Replay replay) => new Output(output, Answered.Task);

        private sealed class Output(PipeWriter output, Task<bool> isSame) : ReplayedOutput
        {
            public override Task<bool> IsSame => isSame;

            public override void Advance(int bytes) => output.Advance(bytes);

            public override void CancelPendingFlush() => output.CancelPendingFlush();

            public override void Complete(Exception? exception = null) => output.Complete(exception);

            public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => output.FlushAsync(cancellationToken);

            public override Memory<byte> GetMemory(int sizeHint = 0) => output.GetMemory(sizeHint);

            public override Span<byte> GetSpan(int sizeHint = 0) => output.GetSpan(sizeHint);
        }
    }
}
