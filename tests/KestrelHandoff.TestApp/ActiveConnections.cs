using System.Diagnostics.Metrics;

namespace KestrelHandoff.TestApp;

/// <summary>What Kestrel's own metric says.</summary>
internal static class ActiveConnections
{
    private static long _count;

    /// <returns>Tells how many there are.</returns>
    public static Func<long> Follow()
    {
        var listener = new MeterListener // for as long as the process lives
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Name == "kestrel.active_connections")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>(static (_, change, _, _) => Interlocked.Add(ref _count, change));
        listener.Start();
        return static () => Interlocked.Read(ref _count);
    }
}
