using System.Buffers.Text;
using System.Text;

namespace ZeroDrop.Load;

/// <summary>Reads one HTTP/1.1 answer out of a buffer: RFC 9112 as far as a server answers a well-formed request.</summary>
internal static class AnswerParser
{
    /// <summary>Parses what has arrived. Chunks are joined in place, once the last one is there.</summary>
    /// <returns>False as long as the answer is incomplete; a malformed one is complete, with its <see cref="Failure"/>.</returns>
    public static bool TryParse(Span<byte> data, out Answer answer)
    {
        answer = default;
        var headLength = data.IndexOf("\r\n\r\n"u8);
        if (headLength < 0)
        {
            return false;
        }

        var head = data[..(headLength + 2)];
        if (!head.StartsWith("HTTP/1.1 "u8) || !Utf8Parser.TryParse(head[9..], out answer.Status, out _))
        {
            answer.Failure = Failure.Malformed;
            return true;
        }

        var (length, chunked) = ReadHeaders(head[(head.IndexOf("\r\n"u8) + 2)..], ref answer);
        answer.BodyStart = headLength + 4;
        if (chunked)
        {
            return TryJoinChunks(data, ref answer);
        }

        if (length < 0)
        {
            // without a length a body runs to the end of the connection: this server has no reason for that
            length = 0;
            answer.Failure = answer.Status is 101 or 204 or 304 ? Failure.None : Failure.Malformed;
        }

        answer.BodyLength = length;
        answer.Length = answer.BodyStart + length;
        return data.Length >= answer.Length;
    }

    private static (int Length, bool Chunked) ReadHeaders(ReadOnlySpan<byte> lines, ref Answer answer)
    {
        var (length, chunked) = (-1, false);
        while (lines.IndexOf("\r\n"u8) is var end and > 0)
        {
            var line = lines[..end];
            lines = lines[(end + 2)..];
            var colon = line.IndexOf((byte)':');
            if (colon < 0)
            {
                answer.Failure = Failure.Malformed;
                return (0, false);
            }

            var name = line[..colon];
            var value = line[(colon + 1)..].Trim((byte)' ');
            switch (name.Length)
            {
                case 14 when Is(name, "content-length"u8):
                    length = Number(value, ref answer);
                    break;
                case 17 when Is(name, "transfer-encoding"u8):
                    chunked = Is(value, "chunked"u8);
                    break;
                case 10 when Is(name, "connection"u8):
                    answer.Close = Is(value, "close"u8);
                    break;
                case 12 when Is(name, "x-generation"u8):
                    answer.Generation = Number(value, ref answer);
                    break;
                case 12 when Is(name, "x-request-id"u8):
                    _ = Utf8Parser.TryParse(value, out answer.RequestId, out _, 'x');
                    break;
            }
        }

        return (length, chunked);
    }

    private static bool TryJoinChunks(Span<byte> data, ref Answer answer)
    {
        var at = answer.BodyStart;
        for (var joining = false; ;)
        {
            var rest = data[at..];
            var end = rest.IndexOf("\r\n"u8);
            if (end < 0)
            {
                return false;
            }

            if (!Utf8Parser.TryParse(rest[..end], out int size, out var digits, 'x') || digits != end)
            {
                answer.Failure = Failure.Malformed;
                return true;
            }

            if (rest.Length < end + 2 + size + 2)
            {
                return false;
            }

            if (joining)
            {
                rest.Slice(end + 2, size).CopyTo(data[(answer.BodyStart + answer.BodyLength)..]);
                answer.BodyLength += size;
            }

            at += end + 2 + size + 2;
            if (size > 0)
            {
                continue;
            }

            if (joining)
            {
                answer.Length = at;
                return true;
            }

            // complete: a second pass joins, so that an incomplete answer stays as it was received
            joining = true;
            at = answer.BodyStart;
        }
    }

    private static int Number(ReadOnlySpan<byte> value, ref Answer answer)
    {
        if (Utf8Parser.TryParse(value, out int number, out var digits) && digits == value.Length && number >= 0)
        {
            return number;
        }

        answer.Failure = Failure.Malformed;
        return 0;
    }

    private static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) => Ascii.EqualsIgnoreCase(text, lower);
}
