using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace KestrelHandoff.Http;

/// <summary>Follows the WebSocket frames of one direction as they pass (RFC 6455 §5.2), as far as to know where a message ends.</summary>
/// <param name="isMasked">The client's direction.</param>
internal struct FrameTracker(bool isMasked)
{
    private const int ShortHeader = 2;
    private const int MaskLength = 4;
    private const int Length16 = 126;
    private const int Length64 = 127;

    private Header _header;
    private int _seen; // bytes of the header
    private ulong _payload; // bytes of it to come
    private bool _isMessageOpen;
    private bool _isWrong; // masked or not against the rules: what is a header and what is not cannot be told any more

    /// <summary>The side has said that it closes: there is no next message.</summary>
    public bool HasClosed { get; private set; }

    public readonly bool IsBetweenFrames => _seen == 0;

    public readonly bool IsBetweenMessages => IsBetweenFrames && !_isMessageOpen && !_isWrong && !HasClosed;

    /// <summary>So many bytes can pass and no byte of the next frame is among them; at least 1.</summary>
    public readonly int ToFrameEnd => _payload > 0 ? (int)Math.Min(_payload, int.MaxValue) : HeaderLength - _seen;

    private readonly int Mask => isMasked ? MaskLength : 0;

    private readonly int HeaderLength => Mask + (_seen < ShortHeader ? ShortHeader : ShortHeader + (_header[1] & 0x7f) switch
    {
        Length16 => sizeof(ushort),
        Length64 => sizeof(ulong),
        _ => 0,
    });

    public static bool IsControl(ReadOnlySpan<byte> frame) => frame.Length > 0 && (frame[0] & 0x0f) >= WebSocketOpcode.Close;

    public void Pass(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var count = Math.Min(bytes.Length, ToFrameEnd);
            if (_payload > 0)
            {
                _payload -= (ulong)count;
            }
            else
            {
                bytes[..count].CopyTo(((Span<byte>)_header)[_seen..]);
                _seen += count;
                if (_seen < HeaderLength)
                {
                    bytes = bytes[count..];
                    continue;
                }

                _isWrong |= isMasked != ((_header[1] & 0x80) != 0);
                _payload = PayloadLength();
            }

            bytes = bytes[count..];
            if (_payload == 0)
            {
                EndFrame();
            }
        }
    }

    private readonly ulong PayloadLength()
    {
        ReadOnlySpan<byte> header = _header;
        return (header[1] & 0x7f) switch
        {
            Length16 => BinaryPrimitives.ReadUInt16BigEndian(header[ShortHeader..]),
            Length64 => BinaryPrimitives.ReadUInt64BigEndian(header[ShortHeader..]),
            var length => (ulong)length,
        };
    }

    private void EndFrame()
    {
        var opcode = _header[0] & 0x0f;
        if (opcode < WebSocketOpcode.Close)
        {
            _isMessageOpen = (_header[0] & 0x80) == 0; // FIN
        }

        HasClosed |= opcode == WebSocketOpcode.Close;
        _seen = 0;
    }

    [InlineArray(ShortHeader + sizeof(ulong) + MaskLength)]
    private struct Header
    {
        private byte _first;
    }
}

/// <summary>RFC 6455 §5.2: from here on opcodes are those of control frames.</summary>
internal static class WebSocketOpcode
{
    public const int Close = 8;
}
