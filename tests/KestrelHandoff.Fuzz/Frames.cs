using System.Buffers.Binary;
using CsCheck;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Fuzz;

/// <summary>Lengths and bodies that go together, or do not.</summary>
internal static class Frames
{
    private static readonly Gen<uint> WrongLength = Gen.Frequency(
        (3, Gen.OneOf<uint>(0, 1, ControlProtocol.MaxMessageLength, ControlProtocol.MaxMessageLength + 1, int.MaxValue, 0x8000_0000u, uint.MaxValue)),
        (2, Gen.UInt[0, 1000]),
        (1, Gen.UInt));

    /// <summary>A valid message, whole.</summary>
    public static Gen<byte[]> Valid { get; } = Mutations.Valid.Select(body => Frame((uint)body.Length, body));

    /// <summary>A spoilt body under its right length.</summary>
    public static Gen<byte[]> Spoilt { get; } = Mutations.Body.Select(body => Frame((uint)body.Length, body));

    /// <summary>A body under a length that is another's.</summary>
    public static Gen<byte[]> Misjudged { get; } = Gen.Select(WrongLength, Mutations.Body, Frame);

    private static byte[] Frame(uint length, byte[] body)
    {
        var frame = new byte[ControlProtocol.HeaderLength + body.Length];
        BinaryPrimitives.WriteUInt32BigEndian(frame, length);
        body.CopyTo(frame, ControlProtocol.HeaderLength);
        return frame;
    }
}
