using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// More pool threads than .NET begins with, while a handoff needs them. It is code that runs for the first time, and is compiled, on pool threads: a machine
/// of two cores has two of them, and clients wait for one. The longest gap in answers around a handoff is twice as long without this (docs/performance.md).
/// </summary>
internal sealed class PoolFloor(TimeProvider time) : IDisposable
{
    /// <summary>Worker threads.</summary>
    internal const int Height = 8;

    /// <summary>While it starts. One that gets none is counted by the pool all the same (PortableThreadPool.WorkerThread.cs, MaybeAddWorkingWorker), or ends the process.</summary>
    private const int DescriptorsOfThread = 3;

    /// <summary>How long it stays when the handoff is over: the first requests of connections that moved, or came back, meet new code as well.</summary>
    internal static readonly TimeSpan Afterwards = TimeSpan.FromSeconds(30);

    private readonly Lock _sync = new();
    private int _holders;
    private int? _before; // the app's, where it was raised
    private ITimer? _lowering;

    /// <summary>Raises it, unless it is as high already or the app's maximum is lower.</summary>
    /// <returns>Disposed, it is the app's again after <see cref="Afterwards"/>, if nobody needs it then.</returns>
    public IDisposable Raise()
    {
        lock (_sync)
        {
            _lowering?.Dispose();
            _lowering = null;
            ThreadPool.GetMinThreads(out var workers, out var completions);
            if (_holders++ == 0 && workers < Height && Libc.HasFreeDescriptors(Height * DescriptorsOfThread) && ThreadPool.SetMinThreads(Height, completions))
            {
                _before = workers;
            }
        }

        return new Holder(this);
    }

    public void Dispose() => Lower();

    private void Release()
    {
        lock (_sync)
        {
            if (--_holders == 0)
            {
                _lowering = time.CreateTimer(static floor => ((PoolFloor)floor!).Lower(), this, Afterwards, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Lower()
    {
        lock (_sync)
        {
            if (_holders > 0)
            {
                return; // it is needed again
            }

            _lowering?.Dispose();
            _lowering = null;
            ThreadPool.GetMinThreads(out var workers, out var completions);
            if (_before is { } before && workers == Height) // else the app has set it meanwhile
            {
                _ = ThreadPool.SetMinThreads(before, completions);
            }

            _before = null;
        }
    }

    private sealed class Holder(PoolFloor floor) : IDisposable
    {
        private bool _isDisposed;

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _isDisposed, true))
            {
                floor.Release();
            }
        }
    }
}
