using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Transport.Connections;

// How a connection that stays is told that its instance goes.
internal sealed partial class HandoffConnection
{
    private const int TcpInfo = 11; // linux/tcp.h, as the two below
    private const int LastDataSent = 44, LastDataReceived = 52; // milliseconds ago, in struct tcp_info

    private bool _hasSaidGoodbye;

    /// <summary>Several exchanges go on at a time, as in HTTP/2.</summary>
    public bool IsShared { get; set; }

    /// <summary>Whether a handoff can find it between two exchanges or messages.</summary>
    public bool CanMove => !IsBound && !IsShared && Messages switch
    {
        { } messages => messages.Replay is not null,
        null when _isHttp => !_isFixed && (_isInExchange || _isBetween || _isHeld),
        null => _isHeld || _belongings?.Requested is not null,
    };

    /// <summary>It moves if and when its handler lets it go.</summary>
    public bool IsLetGoByHandler => Messages is null && !_isHttp && !_isHeld;

    /// <summary>The protocol has a word for the end that can be said at any time, and it was not said yet.</summary>
    public bool CanSayGoodbye => !_hasSaidGoodbye && (Messages is not null || IsShared);

    /// <summary>It has no such word: the client learns of the end with its next request, or by the end. Not while a request is answered whose end is seen here.</summary>
    public bool CanOnlyBeClosed => !_hasSaidGoodbye && !CanSayGoodbye && !(_isInExchange && !_isFixed);

    /// <summary>For how long neither side has sent anything, as the kernel remembers it: an idle connection needs no clock here. Zero where it does not.</summary>
    public TimeSpan Silence
    {
        get
        {
            if (_socket.AddressFamily == AddressFamily.Unix)
            {
                return TimeSpan.Zero;
            }

            Span<byte> info = stackalloc byte[LastDataReceived + sizeof(uint)];
            try
            {
                lock (_readSignal)
                {
                    // .NET breaks the connection of a socket that is closed while a call uses it (SafeSocketHandle.TryUnblockSocket): not of one that has moved.
                    return _phase is not (Phase.Released or Phase.Ended) && _socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, TcpInfo, info) == info.Length
                        ? TimeSpan.FromMilliseconds(Math.Min(Read(info[LastDataSent..]), Read(info[LastDataReceived..])))
                        : TimeSpan.Zero;
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return TimeSpan.Zero; // closed by now
            }

            static uint Read(ReadOnlySpan<byte> number) => BinaryPrimitives.ReadUInt32LittleEndian(number);
        }
    }

    /// <summary>The instance goes, and the connection stays: tells the client, or where there is no word for that, the server.</summary>
    public void SayGoodbye()
    {
        _hasSaidGoodbye = true;
        try
        {
            if (Messages is { } messages)
            {
                messages.SayGoodbye();
            }
            else
            {
                RequestClose();
            }
        }
        catch (Exception e)
        {
            ConnectionLog.Unexpected(_lane.Logger, ConnectionId, nameof(SayGoodbye), e); // and the next is told all the same
        }
    }

    /// <summary>The server ends the connection where it waits for a request, or after the one it has.</summary>
    private void RequestClose()
    {
        try
        {
            ((IFeatureCollection)this).Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
        catch (AggregateException e)
        {
            ConnectionLog.Unexpected(_lane.Logger, ConnectionId, nameof(IConnectionLifetimeNotificationFeature.ConnectionClosedRequested), e);
        }
    }
}
