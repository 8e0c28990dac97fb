using System.Collections.Concurrent;
using System.IO.Pipelines;

namespace KestrelHandoff.Transport.Connections;

/// <summary>Runs the work of many connections in batches: one thread pool item for all that came in meanwhile.</summary>
internal sealed class IoQueue : PipeScheduler, IThreadPoolWorkItem
{
    private readonly ConcurrentQueue<(Action<object?> Action, object? State)> _work = new();
    private int _scheduled;

    public override void Schedule(Action<object?> action, object? state)
    {
        _work.Enqueue((action, state));
        ScheduleOnce();
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (_work.TryDequeue(out var work))
        {
            work.Action(work.State);
        }

        // The exchange is a full fence: work added before it is seen by IsEmpty, work added after it schedules itself.
        Interlocked.Exchange(ref _scheduled, 0);
        if (!_work.IsEmpty)
        {
            ScheduleOnce();
        }
    }

    private void ScheduleOnce()
    {
        if (Interlocked.CompareExchange(ref _scheduled, 1, 0) == 0)
        {
            System.Threading.ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }
}
