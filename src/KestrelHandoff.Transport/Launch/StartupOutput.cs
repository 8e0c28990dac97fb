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
    public async Task CopyAsync(Stream from, Stream to)
    {
        await using var source = from;
        await using var target = to;
        var buffer = new byte[4096];
        int count;
        while ((count = await from.ReadAsync(buffer)) > 0)
        {
            Keep(buffer.AsSpan(0, count));
            try
            {
                await to.WriteAsync(buffer.AsMemory(0, count));
                await to.FlushAsync();
            }
            catch (IOException)
            {
                // Nobody reads this instance's output; an unread pipe would block the successor, so go on reading.
            }
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
