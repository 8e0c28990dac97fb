using System.Text;

namespace KestrelHandoff.Transport.Launch;

/// <summary>Copies a launched successor's output to where this instance's goes, and keeps the end of it for the answer if the start fails.</summary>
internal sealed class StartupOutput
{
    /// <summary>How much of the end is kept, in bytes.</summary>
    public const int Kept = 16 * 1024;

    private readonly Lock _sync = new();
    private readonly byte[] _ring = new byte[Kept];
    private long _written;

    /// <summary>Copies until the end of <paramref name="from"/>: the successor exited, or has put other streams in its place. Closes both.</summary>
    /// <param name="from">What the successor writes.</param>
    /// <param name="to">This instance's own.</param>
    /// <param name="cancellationToken">Ends it as well; nothing is thrown.</param>
    public async Task CopyAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        await using var source = from;
        await using var target = to;
        var buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await from.ReadAsync(buffer, cancellationToken)) > 0)
            {
                Keep(buffer.AsSpan(0, count));
                await TryWriteAsync(to, buffer.AsMemory(0, count));
            }
        }
        catch (OperationCanceledException)
        {
            // the successor is gone, and somebody it has started holds the other end
        }
    }

    public override string ToString()
    {
        lock (_sync)
        {
            var start = (int)(_written % Kept);
            var text = _written <= Kept ? Encoding.UTF8.GetString(_ring, 0, (int)_written) : Encoding.UTF8.GetString([.. _ring[start..], .. _ring[..start]]);
            return _written <= Kept ? text : text[(text.IndexOf('\n') + 1)..];
        }
    }

    private static async Task TryWriteAsync(Stream to, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await to.WriteAsync(bytes);
            await to.FlushAsync();
        }
        catch (IOException)
        {
            // Nobody reads this instance's output; an unread pipe would block the successor, so go on reading.
        }
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        lock (_sync)
        {
            foreach (var b in bytes)
            {
                _ring[_written++ % Kept] = b;
            }
        }
    }
}
