using System.Net;
using System.Net.Sockets;

namespace ZeroDrop.Load;

/// <summary>How an idle connection was found before its next request.</summary>
internal enum IdleState { Open, Ended, Reset }

/// <summary>One TCP connection and what exactly happened on it. It never retries and hides nothing.</summary>
internal sealed class HttpConnection(EndPoint endPoint) : IDisposable
{
    private byte[] _buffer = new byte[1024];
    private Socket? _socket;
    private int _filled;
    private long _deadline = long.MaxValue;
    private volatile bool _expired;

    public bool IsOpen => _socket is not null;

    /// <summary>The body of the last answer.</summary>
    public ReadOnlySpan<byte> Body(in Answer answer) => _buffer.AsSpan(answer.BodyStart, answer.BodyLength);

    /// <summary>Ends what is under way when it is not done by then; <see cref="Expire"/> looks.</summary>
    public void SetTimeout(double milliseconds) => Volatile.Write(ref _deadline, Clock.Now + Clock.Ticks(milliseconds));

    public void ClearTimeout() => Volatile.Write(ref _deadline, long.MaxValue);

    /// <summary>Called now and then from another thread.</summary>
    public void Expire(long now)
    {
        if (now >= Volatile.Read(ref _deadline))
        {
            _expired = true;
            _socket?.Dispose();
        }
    }

    /// <summary>Looks, without waiting, whether the peer has closed an idle connection.</summary>
    public IdleState LookWhileIdle()
    {
        try
        {
            if (!_socket!.Poll(0, SelectMode.SelectRead))
            {
                return IdleState.Open;
            }

            _socket.Receive(_buffer); // readable, so it does not wait; bytes nobody asked for end the connection as well
            return IdleState.Ended;
        }
        catch (SocketException)
        {
            return IdleState.Reset;
        }
    }

    public async ValueTask<Failure> ConnectAsync()
    {
        _filled = 0;
        _expired = false;
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _socket = socket;
        try
        {
            await socket.ConnectAsync(endPoint);
            return Failure.None;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close();
            return e is SocketException { SocketErrorCode: SocketError.AddressNotAvailable }
                ? throw new InvalidOperationException("The load client has used up its local ports; use fewer new connections or a shorter run.", e)
                : Failure.Refused;
        }
    }

    public async ValueTask<Failure> SendAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (!bytes.IsEmpty)
            {
                bytes = bytes[await _socket!.SendAsync(bytes)..];
            }

            return Failure.None;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return Explain(e);
        }
    }

    public async ValueTask<Answer> ReceiveAsync()
    {
        try
        {
            while (true)
            {
                if (_filled == _buffer.Length)
                {
                    Array.Resize(ref _buffer, _buffer.Length * 4);
                }

                var count = await _socket!.ReceiveAsync(_buffer.AsMemory(_filled));
                if (count == 0)
                {
                    return Answer.Failed(Failure.EndOfStream);
                }

                _filled += count;
                if (AnswerParser.TryParse(_buffer.AsSpan(0, _filled), out var answer))
                {
                    var more = answer.Failure == Failure.None && answer.Length != _filled;
                    _filled = 0;
                    return more ? Answer.Failed(Failure.Malformed) : answer;
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return Answer.Failed(Explain(e));
        }
    }

    /// <summary>Gives the socket to a protocol that goes on after the answer 101.</summary>
    public Socket TakeSocket()
    {
        ClearTimeout();
        var socket = _socket!;
        _socket = null;
        return socket;
    }

    public void Close()
    {
        ClearTimeout();
        _socket?.Dispose();
        _socket = null;
    }

    public void Dispose() => Close();

    private Failure Explain(Exception e) => _expired ? Failure.TimedOut : e switch
    {
        SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown } => Failure.Reset,
        _ => Failure.EndOfStream,
    };
}
