using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace KestrelHandoff.Transport.Connections;

/// <summary>
/// What the receive loop of one connection waits for: more has come, or it is to look whether it goes on at all. Any number of signals while it does not
/// wait are one. One waits at a time.
/// </summary>
internal sealed class ReadSignal(PipeScheduler scheduler) : ICriticalNotifyCompletion
{
    private static readonly Action Given = static () => { };
    private static readonly Action<object?> Continue = static continuation => ((Action)continuation!)();

    private Action? _continuation; // or Given: nobody has seen the signal yet

    /// <summary>The socket has told of more than bytes that came: its end, an error, urgent bytes. What a receive returns says no longer that it was all there is.</summary>
    public bool IsSpecial { get; private set; }

    /// <summary>What a <see cref="SocketPoller"/> watches it by.</summary>
    public ulong Id { get; set; }

    /// <summary>What waits next goes on elsewhere, even where the signal has been given.</summary>
    public bool MustSuspend { private get; set; }

    public bool IsCompleted => !MustSuspend && ReferenceEquals(Volatile.Read(ref _continuation), Given);

    public ReadSignal GetAwaiter() => this;

    /// <summary>Takes the signal. What is received after this may answer one that is given after it as well, but none is lost.</summary>
    public void GetResult() => Interlocked.Exchange(ref _continuation, null); // a full fence: nothing is received before it

    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation)
    {
        MustSuspend = false;
        if (Interlocked.CompareExchange(ref _continuation, continuation, null) is not null)
        {
            scheduler.Schedule(Continue, continuation); // given meanwhile
        }
    }

    /// <summary>Wakes who waits, on another thread, or the next who would.</summary>
    public void Give(bool isSpecial = false)
    {
        if (isSpecial)
        {
            IsSpecial = true;
        }

        if (Interlocked.Exchange(ref _continuation, Given) is { } continuation && !ReferenceEquals(continuation, Given))
        {
            scheduler.Schedule(Continue, continuation);
        }
    }
}
