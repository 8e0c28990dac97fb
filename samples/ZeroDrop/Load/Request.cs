using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace ZeroDrop.Load;

/// <summary>The bytes of one kind of request; only the id changes from one to the next, in place.</summary>
internal sealed class Request
{
    private readonly byte[] _bytes;
    private readonly int _idAt;
    private readonly int _headLength;

    private Request(string method, string target, string host, string headers, int bodyLength)
    {
        var beforeId = $"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}X-Request-Id: ";
        _idAt = beforeId.Length;
        var head = $"{beforeId}{0:x16}\r\n\r\n";
        _headLength = head.Length;
        _bytes = new byte[head.Length + bodyLength];
        Encoding.ASCII.GetBytes(head, _bytes);
        _bytes.AsSpan(head.Length).Fill((byte)'x');
    }

    public int BodyLength => _bytes.Length - _headLength;

    public ReadOnlyMemory<byte> Head => _bytes.AsMemory(0, _headLength);

    public ReadOnlyMemory<byte> Body => _bytes.AsMemory(_headLength);

    public static Request Get(string target, string host, bool close = false) => new("GET", target, host, close ? "Connection: close\r\n" : "", 0);

    public static Request Post(string target, string host, int bodyLength) =>
        new("POST", target, host, $"Content-Length: {bodyLength}\r\nContent-Type: application/octet-stream\r\n", bodyLength);

    public void SetId(ulong id) => Utf8Formatter.TryFormat(id, _bytes.AsSpan(_idAt), out _, new StandardFormat('x', 16));
}
