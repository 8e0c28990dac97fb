namespace KestrelHandoff.Transport.Connections;

/// <summary>Names for connections in logs: 13 digits to the base of 32, rising, different in each process.</summary>
internal static class ConnectionIds
{
    private const int Length = 13; // 13 times 5 bits hold a 64-bit number

    // Started at the clock: ids of a predecessor and its successor, ten million apart a second, do not meet.
    private static long _last = TimeProvider.System.GetUtcNow().UtcTicks;

    public static string Next() => string.Create(Length, Interlocked.Increment(ref _last), static (digits, id) =>
    {
        for (var i = digits.Length - 1; i >= 0; i--, id >>= 5)
        {
            digits[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUV"[(int)(id & 31)];
        }
    });
}
