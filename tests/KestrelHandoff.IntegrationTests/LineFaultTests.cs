using KestrelHandoff.IntegrationTests.Support;

namespace KestrelHandoff.IntegrationTests;

/// <summary>What becomes of a handoff whose control connection fails, message by message.</summary>
public sealed class LineFaultTests
{
    private const string Garbage = "\0\0\0\u0009{\"type\":";

    /// <summary>Cut at <c>confirmed</c> neither can know whether it is the one, and both serve: not a row, for two are left.</summary>
    [Theory]
    [InlineData("closed")]
    [InlineData("closed in the middle")]
    [InlineData("garbled")]
    public Task Line_TamperedWith_NoClientNotices(string how) => FaultTable.RunAsync([.. FaultTable.All.Where(message => how == "garbled" || message != "confirmed")], message => new Fault
    {
        Meet = (_, frame) => Task.FromResult(Tamper(frame, how)),
        SuccessorServes = message is "migrate" or "migrated" or "draining",
    });

    internal static byte[]? Tamper(byte[] frame, string how) => how switch
    {
        "closed" => null,
        "closed in the middle" => frame[..(frame.Length / 2)],
        _ => Garble(frame),
    };

    /// <summary>As long as the message was, so that no end of it is awaited.</summary>
    private static byte[] Garble(byte[] frame)
    {
        var garbled = new byte[Math.Max(frame.Length, Garbage.Length)];
        for (var i = 0; i < Garbage.Length; i++)
        {
            garbled[i] = (byte)Garbage[i];
        }

        return garbled;
    }
}
