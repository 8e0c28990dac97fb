using System.Buffers.Binary;
using CsCheck;
using KestrelHandoff.Http;

namespace KestrelHandoff.Tests.Http;

/// <summary>Between two messages, and nowhere else, whatever the pieces the bytes come in.</summary>
public sealed class FrameTrackerTests
{
    private const int Continuation = 0, Text = 1, Close = 8, Ping = 9;

    private static readonly Gen<int> Length = Gen.OneOf(Gen.Int[0, 5], Gen.Int[120, 130], Gen.Int[65_530, 65_540]);

    [Fact]
    public void Pass_FramesInAnyPieces_KnowsWhereMessagesEnd() =>
        Gen.Select(Gen.Bool, Gen.Select(Gen.Int[0, 3], Length).Array[1, 8], Gen.Int[1, 70_000].Array[1, 6]).Sample((isMasked, frames, pieces) =>
        {
            var tracker = new FrameTracker(isMasked);
            var isOpen = false;
            foreach (var (kind, length) in frames)
            {
                // 0: a message of one frame or the end of one, 1: the begin or the middle of one, else a ping
                var frame = kind switch
                {
                    0 => Frame(isOpen ? Continuation : Text, isLast: true, length, isMasked),
                    1 => Frame(isOpen ? Continuation : Text, isLast: false, length, isMasked),
                    _ => Frame(Ping, isLast: true, length % 126, isMasked),
                };
                isOpen = kind switch { 0 => false, 1 => true, _ => isOpen };
                for (int at = 0, piece = 0; at < frame.Length; piece++)
                {
                    Assert.True(at == 0 || !tracker.IsBetweenFrames);
                    Assert.InRange(tracker.ToFrameEnd, 1, frame.Length - at); // no byte of the next frame
                    var count = Math.Min(frame.Length - at, pieces[piece % pieces.Length]);
                    tracker.Pass(frame.AsSpan(at, count));
                    at += count;
                }

                Assert.True(tracker.IsBetweenFrames);
                Assert.Equal(!isOpen, tracker.IsBetweenMessages);
            }
        });

    [Fact]
    public void Pass_SeveralFramesAtOnce_AreAllSeen()
    {
        var tracker = new FrameTracker(isMasked: false);
        tracker.Pass([.. Frame(Text, isLast: false, 10, isMasked: false), .. Frame(Ping, isLast: true, 0, isMasked: false)]);
        Assert.True(tracker.IsBetweenFrames);
        Assert.False(tracker.IsBetweenMessages);
        tracker.Pass([.. Frame(Continuation, isLast: true, 0, isMasked: false), .. Frame(Text, isLast: true, 200, isMasked: false)]);
        Assert.True(tracker.IsBetweenMessages);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pass_MaskedAgainstTheRules_NeverIsBetween(bool isMasked)
    {
        var tracker = new FrameTracker(isMasked);
        tracker.Pass(Frame(Text, isLast: true, 4, !isMasked));
        Assert.False(tracker.IsBetweenMessages);
    }

    [Fact]
    public void Pass_Close_IsNoMessageToStopAt()
    {
        var tracker = new FrameTracker(isMasked: true);
        tracker.Pass(Frame(Close, isLast: true, 2, isMasked: true));
        Assert.True(tracker.HasClosed);
        Assert.False(tracker.IsBetweenMessages);
    }

    [Fact]
    public void ToFrameEnd_LengthBeyondAnInt_IsCapped()
    {
        var tracker = new FrameTracker(isMasked: false);
        tracker.Pass([0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        Assert.Equal(int.MaxValue, tracker.ToFrameEnd);
        Assert.False(tracker.IsBetweenFrames);
    }

    private static byte[] Frame(int opcode, bool isLast, int length, bool isMasked)
    {
        var header = new byte[14];
        header[0] = (byte)(opcode | (isLast ? 0x80 : 0));
        var count = 2;
        switch (length)
        {
            case < 126:
                header[1] = (byte)length;
                break;
            case <= ushort.MaxValue:
                header[1] = 126;
                BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)length);
                count += sizeof(ushort);
                break;
            default:
                header[1] = 127;
                BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(2), (ulong)length);
                count += sizeof(ulong);
                break;
        }

        header[1] |= (byte)(isMasked ? 0x80 : 0);
        return [.. header[..(count + (isMasked ? 4 : 0))], .. new byte[length]];
    }
}
