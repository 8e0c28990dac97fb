using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace KestrelHandoff.Transport.Connections;

/// <summary>Waits for the end of an operation without taking its result, so that a failure throws only when somebody asks.</summary>
/// <remarks>There is no context to come back to. Every connection that ends aborts its pending receive: an exception for each would cost more than the close.</remarks>
internal readonly struct QuietAwait(ValueTask<int> operation) : ICriticalNotifyCompletion
{
    private readonly ValueTask<int> _operation = operation; // and not its awaiter too: each idle connection holds one of these

    public bool IsCompleted => _operation.IsCompleted;

    public QuietAwait GetAwaiter() => this;

    public Outcome GetResult() => new(_operation);

    public void OnCompleted(Action continuation) => _operation.ConfigureAwait(false).GetAwaiter().OnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation) => _operation.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(continuation);

    /// <summary>An operation that has ended. A socket's says "succeeded" even when it failed: only the result tells.</summary>
    internal readonly struct Outcome(ValueTask<int> operation)
    {
        private readonly ValueTask<int> _operation = operation;

        /// <summary>Takes the result, at most once, or throws what the operation failed with.</summary>
        public int Take() => _operation.GetAwaiter().GetResult();

        /// <summary>
        /// Instead of <see cref="Take"/>: nobody wants the result. A socket's operation goes back to its socket when it is taken; one that is not would be
        /// left to the finalizer, and all that hangs on it outlive a garbage collection, for every connection that ends.
        /// </summary>
        public void Abandon()
        {
            if (SourceIsReachable)
            {
                var operation = _operation;
                switch (SourceOf(ref operation))
                {
                    case SocketAsyncEventArgs pending:
                        pending.Dispose();
                        break;
                    case Task failed: // at once: it found the socket closed
                        _ = failed.Exception; // observed, or the app is told of it (TaskScheduler.UnobservedTaskException)
                        break;
                }
            }
        }

        // A private field of the runtime (ValueTask.cs), for which there is no other way. Should another runtime not have it, the finalizer does the work.
        private static readonly bool SourceIsReachable = CanReachSource();

        private static bool CanReachSource()
        {
            try
            {
                var none = default(ValueTask<int>);
                return SourceOf(ref none) is null;
            }
            catch (MissingFieldException)
            {
                return false;
            }
        }

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_obj")]
        private static extern ref object? SourceOf(ref ValueTask<int> operation);
    }
}
