using System.Buffers;
using System.Collections;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace KestrelHandoff.Transport.Connections;

// What Kestrel and applications read of a connection. The connection is its own feature collection: what it is by itself
// takes no room, what others set goes into one array.
internal sealed partial class HandoffConnection : IFeatureCollection,
    IConnectionIdFeature, IConnectionTransportFeature, IConnectionItemsFeature, IConnectionLifetimeFeature,
    IConnectionEndPointFeature, IConnectionSocketFeature, IMemoryPoolFeature
{
    // Kestrel sets four
    private const int InitialFeatures = 4;

    private static readonly Type[] OwnFeatures =
    [
        typeof(HandoffConnection),
        typeof(IConnectionIdFeature), typeof(IConnectionTransportFeature), typeof(IConnectionItemsFeature),
        typeof(IConnectionLifetimeFeature), typeof(IConnectionEndPointFeature), typeof(IConnectionSocketFeature),
        typeof(IMemoryPoolFeature), typeof(IConnectionHandoffFeature),
    ];

    private EndPoint? _localEndPoint;
    private EndPoint? _remoteEndPoint;
    private string? _connectionId;
    private IDictionary<object, object?>? _items;
    private IDuplexPipe _transport;
    private volatile bool _isTransportReplaced;
    private (Type Key, object? Value)[]? _set;
    private ushort _setCount;
    private int _revision;

    public override IFeatureCollection Features => this;

    public override string ConnectionId
    {
        get => _connectionId ??= ConnectionIds.Next();
        set => _connectionId = value;
    }

    public override IDictionary<object, object?> Items
    {
        get => _items ??= new ConnectionItems();
        set => _items = value;
    }

    public override IDuplexPipe Transport
    {
        get => _transport;
        set
        {
            lock (_readSignal)
            {
                _isTransportReplaced |= !ReferenceEquals(value, _ownTransport); // after this nobody begins to hold it
            }

            _transport = value;
        }
    }

    /// <summary>
    /// Whether middleware such as TLS ever put a transport of its own over this one: bytes it has read are not in our pipe, so
    /// the connection cannot move. Stays true when the middleware puts ours back as it ends.
    /// </summary>
    public bool IsTransportReplaced => _isTransportReplaced;

    /// <summary>
    /// Whether a connection of requests has something that it would not have in the successor: middleware's transport; a preamble that middleware has read, such
    /// as that of the PROXY protocol, which its like there would wait for; items that came with a request, such as a half-done Negotiate handshake.
    /// </summary>
    public bool IsBoundByRequests => IsTransportReplaced || (_isServed && _isRead) || _items?.Count > _itemsOfMiddleware;

    /// <summary>A handler of its own decides by itself what must go along.</summary>
    private bool IsBound => _isHttp ? IsBoundByRequests : IsTransportReplaced;

    public override EndPoint? LocalEndPoint
    {
        get => _localEndPoint ??= AskSocket(static socket => socket.LocalEndPoint);
        set => _localEndPoint = value;
    }

    public override EndPoint? RemoteEndPoint
    {
        get => _remoteEndPoint ??= AskSocket(static socket => socket.RemoteEndPoint);
        set => _remoteEndPoint = value;
    }

    public override CancellationToken ConnectionClosed { get; set; }

    public Socket Socket => _socket;

    /// <summary>The server asks for it when its HTTP layer begins (HttpConnectionMiddleware.OnConnectionAsync): who has read before that is middleware.</summary>
    MemoryPool<byte> IMemoryPoolFeature.MemoryPool
    {
        get
        {
            if (!_isServed)
            {
                _isServed = true;
                _itemsOfMiddleware = (byte)Math.Min(byte.MaxValue, _items?.Count ?? 0);
            }

            return _lane.Pool;
        }
    }

    bool IFeatureCollection.IsReadOnly => false;

    int IFeatureCollection.Revision => _revision;

    object? IFeatureCollection.this[Type key]
    {
        get => key == typeof(HandoffConnection) ? this : Find(key, out var value) ? value : Array.IndexOf(OwnFeatures, key) >= 0 ? this : null;
        set => SetFeature(key, value);
    }

    TFeature? IFeatureCollection.Get<TFeature>()
        where TFeature : default =>
        Find(typeof(TFeature), out var value) ? (TFeature?)value
        : this is TFeature own && Array.IndexOf(OwnFeatures, typeof(TFeature)) >= 0 ? own
        : default;

    void IFeatureCollection.Set<TFeature>(TFeature? instance)
        where TFeature : default => SetFeature(typeof(TFeature), instance);

    IEnumerator<KeyValuePair<Type, object>> IEnumerable<KeyValuePair<Type, object>>.GetEnumerator()
    {
        foreach (var key in OwnFeatures)
        {
            if (!Find(key, out _))
            {
                yield return new(key, this);
            }
        }

        for (var i = 0; i < _setCount; i++)
        {
            if (_set![i] is { Value: { } value, Key: var key })
            {
                yield return new(key, value);
            }
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => ((IEnumerable<KeyValuePair<Type, object>>)this).GetEnumerator();

    private bool Find(Type key, out object? value)
    {
        for (var i = 0; i < _setCount; i++)
        {
            if (_set![i].Key == key)
            {
                value = _set[i].Value;
                return true;
            }
        }

        value = null;
        return false;
    }

    private void SetFeature(Type key, object? value)
    {
        _revision++;
        for (var i = 0; i < _setCount; i++)
        {
            if (_set![i].Key == key)
            {
                _set[i].Value = value;
                return;
            }
        }

        // A null stays in the array: it hides what the connection is by itself.
        if (_set is null || _setCount == _set.Length)
        {
            Array.Resize(ref _set, Math.Max(InitialFeatures, _setCount * 2));
        }

        _set[_setCount++] = (key, value);
    }

    private EndPoint? AskSocket(Func<Socket, EndPoint?> question)
    {
        try
        {
            return question(_socket);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null; // reset by the peer, or closed
        }
    }
}
