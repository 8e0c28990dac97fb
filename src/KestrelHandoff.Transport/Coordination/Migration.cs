using System.Threading.Channels;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Diagnostics;
using KestrelHandoff.Transport.Interop;
using KestrelHandoff.Transport.Listeners;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// The giving side of live connections: a predecessor after the confirmation, a successor after a roll-back. Each is taken between two exchanges, sent with what its client has
/// sent already, and kept until the other instance has said that it has it: whom a connection belongs to is never in doubt.
/// </summary>
internal sealed class Migration(
    ConnectionRegistry registry, ConnectionFactory connections, ListenerTable listeners, TimeProvider time, ILogger<Migration> logger) : IDisposable
{
    private const int FirstGroup = 2;

    /// <summary>A connection whose client does not read is not done until it does: the next group need not wait for it.</summary>
    private static readonly TimeSpan GroupPatience = TimeSpan.FromMilliseconds(250);

    private readonly Channel<ReleasedConnection> _taken = Channel.CreateUnbounded<ReleasedConnection>();
    private readonly Unsettled _unsettled = new();
    private readonly CancellationTokenSource _giveUp = new();
    private IReadOnlyDictionary<string, string>? _names;
    private int _moved;
    private int _kept;
    private volatile bool _isOver;

    /// <summary>Connections the other instance has.</summary>
    public int Count => Volatile.Read(ref _moved);

    /// <summary>Connections that were taken and could not be given: this instance serves them on, as new ones.</summary>
    public int Kept => Volatile.Read(ref _kept);

    /// <summary>Whether the connection goes, or will go, to the other instance: it need not be told to end.</summary>
    public bool Moves(HandoffConnection connection) => !_isOver && (_names is null || (connection.ListenerName is { } name && _names.ContainsKey(name)));

    /// <summary>The other instance cannot take connections.</summary>
    public void Forgo() => _isOver = true;

    /// <summary>Takes every connection that is between two exchanges now, and the others when they are.</summary>
    /// <param name="line">To the other instance.</param>
    /// <param name="names">The listeners that it has, by their names here: what it knows them as. Connections of others have nowhere to go.</param>
    public void Begin(MigrationLine line, IReadOnlyDictionary<string, string> names)
    {
        _names = names;
        _unsettled.Add(); // until all have been asked
        _ = RunAsync(line, names);
        _ = WantAllAsync([.. registry.Snapshot().Where(Moves)]);
    }

    /// <summary>A connection that came after all were asked: from this instance's own predecessor, which has not finished yet.</summary>
    public void Arrived(HandoffConnection connection)
    {
        if (_names is not null && Moves(connection))
        {
            Want(connection);
        }
    }

    /// <summary>Returns when no connection is on its way any more.</summary>
    public Task WhenSettledAsync(CancellationToken cancellationToken) => _unsettled.WhenFewerAsync(1, cancellationToken);

    /// <summary>The host stops soon: those that are busy are waited for as well, see <see cref="WhenSettledAsync"/>.</summary>
    public void AwaitBusy()
    {
        foreach (var connection in registry.Snapshot())
        {
            if (connection.Await())
            {
                _unsettled.Add();
            }
        }
    }

    /// <summary>No more is taken: what is not held by now is served here to its end.</summary>
    public void End()
    {
        _isOver = true;
        registry.Snapshot().ForEach(Leave);
    }

    /// <summary>The time is up: what is held and not sent by now is closed.</summary>
    public void GiveUp()
    {
        _giveUp.Cancel();
        foreach (var connection in registry.Snapshot())
        {
            if (connection.IsHeld)
            {
                connection.GiveUpRelease(); // its handler or its client has not got done, and Kestrel's own abort is ignored while it is held
            }
        }
    }

    public void Dispose() => _giveUp.Dispose();

    /// <summary>Few at first and more each time: a connection on its way is served by nobody, and the first meet code that is not compiled yet, here and there.</summary>
    private async Task WantAllAsync(HandoffConnection[] all)
    {
        try
        {
            var size = FirstGroup;
            for (var start = 0; start < all.Length && !_isOver; start += size, size = Math.Min(size * 2, Libc.MaxDescriptors))
            {
                foreach (var connection in all.AsSpan(start, Math.Min(size, all.Length - start)))
                {
                    Want(connection);
                }

                await Task.WhenAny(_unsettled.WhenFewerAsync(2, CancellationToken.None), Task.Delay(GroupPatience, time));
            }
        }
        finally
        {
            _unsettled.Settle();
        }
    }

    private void Want(HandoffConnection connection)
    {
        _unsettled.Add();
        var isAwaited = false; // since this call: one that has just come from this instance's own predecessor may be wanted twice
        try
        {
            if (!_isOver)
            {
                _ = connection.Want(TakeAsync, out isAwaited);
            }
        }
        catch (Exception e)
        {
            Log.NotWanted(logger, connection.ConnectionId, e); // a callback of the app's; the others move all the same
        }

        if (_isOver)
        {
            Leave(connection); // it was over meanwhile
        }

        if (!isAwaited)
        {
            _unsettled.Settle(); // not before: who ends it all waits for this
        }
    }

    private void Leave(HandoffConnection connection)
    {
        if (connection.Unwant())
        {
            _unsettled.Settle();
        }
        else if (connection.Await())
        {
            _unsettled.Add(); // held since, and its server has not got done
        }
    }

    /// <summary>The server is done with the connection.</summary>
    private async ValueTask TakeAsync(HandoffConnection connection)
    {
        _unsettled.Add(); // first: from the moment on in which nobody else counts it
        if (!connection.AwaitTaking())
        {
            _unsettled.Settle();
        }

        ReleasedConnection? released = null;
        try
        {
            // Not one that ended in the ordinary way. And held in the last moment, it would be reset, and its last answer with it: not released it ends as any other.
            released = !connection.IsHeld || _giveUp.IsCancellationRequested ? null : await connection.ReleaseAsync(_giveUp.Token);
        }
        finally
        {
            if (released is null)
            {
                _unsettled.Settle();
            }
        }

        if (released is null)
        {
            return;
        }

        if (released.Length > MigrationBatch.MaxLength || !_taken.Writer.TryWrite(released))
        {
            KeepOn(released);
        }
    }

    private async Task RunAsync(MigrationLine line, IReadOnlyDictionary<string, string> names)
    {
        var batch = new MigrationBatch(line, names);
        try
        {
            while (await _taken.Reader.WaitToReadAsync(_giveUp.Token))
            {
                batch.Fill(_taken.Reader);
                await batch.SendAsync(_giveUp.Token);
                foreach (var released in batch.Empty())
                {
                    released.Dispose();
                    Interlocked.Increment(ref _moved);
                    _unsettled.Settle();
                }
            }
        }
        catch (OperationCanceledException) when (_giveUp.IsCancellationRequested)
        {
            Stop(batch, keepsOn: false);
        }
        catch (Exception e)
        {
            Log.MigrationEnded(logger, Count, e);
            Stop(batch, keepsOn: !batch.IsSent || PeerGone.Is(e) || e is HandoffException { Failure: HandoffFailure.Refused });
        }
    }

    /// <summary>No more goes to the other instance. What it has not been sent, or has not acknowledged and is gone or said no, is ours again; if it only is silent it may have it.</summary>
    private void Stop(MigrationBatch batch, bool keepsOn)
    {
        _isOver = true;
        _taken.Writer.Complete();
        foreach (var released in batch.Empty())
        {
            if (keepsOn)
            {
                KeepOn(released);
            }
            else
            {
                released.Dispose();
                _unsettled.Settle();
            }
        }

        while (_taken.Reader.TryRead(out var released))
        {
            KeepOn(released);
        }
    }

    /// <summary>This instance serves the connection on, with what the client has sent meanwhile.</summary>
    private void KeepOn(ReleasedConnection released)
    {
        Interlocked.Increment(ref _kept);

        // Not between two exchanges while there is something unread: what is too much for a message would be taken again as it is.
        var connection = connections.Adopt(released, isBetween: released.Leftover.IsEmpty);
        if (listeners.Bring(connection) && released.IsBetweenRequests)
        {
            Arrived(connection);
        }

        _unsettled.Settle();
    }
}
