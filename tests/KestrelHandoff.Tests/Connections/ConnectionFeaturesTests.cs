using System.Net.Sockets;
using KestrelHandoff.Transport.Connections;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace KestrelHandoff.Tests.Connections;

public sealed class ConnectionFeaturesTests
{
    [Fact]
    public async Task Features_OwnOnes_AreTheConnection()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var features = pair.Connection.Features;
        Assert.Same(pair.Connection, features.Get<IConnectionIdFeature>());
        Assert.Same(pair.Connection, features.Get<HandoffConnection>());
        Assert.Same(pair.Connection, features[typeof(IMemoryPoolFeature)]);
        Assert.Same(pair.Connection.Transport, features.Get<IConnectionTransportFeature>()!.Transport);
        Assert.Equal(pair.Client.LocalEndPoint, features.Get<IConnectionEndPointFeature>()!.RemoteEndPoint);
        Assert.Equal(pair.Client.RemoteEndPoint, features.Get<IConnectionSocketFeature>()!.Socket.LocalEndPoint);
        Assert.Equal(pair.Connection.ConnectionClosed, features.Get<IConnectionLifetimeFeature>()!.ConnectionClosed);
        Assert.Same(pair.Connection.Items, features.Get<IConnectionItemsFeature>()!.Items);
        Assert.Null(features.Get<IDisposable>());
        Assert.Null(features.Get<IAsyncDisposable>());
        Assert.False(features.IsReadOnly);
        Assert.Same(pair.Connection, features.Get<IConnectionHandoffFeature>());
        Assert.Equal(9, features.Count());
    }

    [Fact]
    public async Task Features_SetAndUnset_LastOneCounts()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var features = pair.Connection.Features;
        var keys = new[] { typeof(int), typeof(long), typeof(byte), typeof(short), typeof(char), typeof(uint), typeof(ulong) };
        foreach (var key in keys)
        {
            features[key] = key.Name;
        }

        features.Set("text");
        features.Set<IConnectionIdFeature>(null);
        Assert.All(keys, key => Assert.Equal(key.Name, features[key]));
        Assert.Equal("text", features.Get<string>());
        Assert.Null(features.Get<IConnectionIdFeature>());
        Assert.Equal(9, features.Revision);
        Assert.Equal(9 - 1 + 8, features.Count());

        features.Set<IConnectionIdFeature>(pair.Connection);
        features.Set<string>(null);
        Assert.Same(pair.Connection, features.Get<IConnectionIdFeature>());
        Assert.Null(features.Get<string>());
    }

    [Fact]
    public async Task Transport_ReplacedAndPutBack_StaysMarked()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var own = pair.Connection.Transport;
        pair.Connection.Transport = own;
        Assert.False(pair.Connection.IsTransportReplaced);
        pair.Connection.Transport = new BoundaryPipe(pair.Connection, own.Input, own.Output);
        pair.Connection.Transport = own;
        Assert.True(pair.Connection.IsTransportReplaced);
        Assert.Null(await pair.ReleaseAsync());
    }

    [Fact]
    public async Task EndPoints_FirstAskedAfterTheEnd_AreThoseOfTheSocket()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.Connection.DisposeAsync().OrHang();
        Assert.Equal(pair.Client.RemoteEndPoint, pair.Connection.LocalEndPoint);
        Assert.Equal(pair.Client.LocalEndPoint, pair.Connection.RemoteEndPoint);
    }

    [Fact]
    public async Task EndPoints_FirstAskedAfterAReset_AreKnown()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var (server, client) = (pair.Client.RemoteEndPoint, pair.Client.LocalEndPoint);
        pair.Connection.Abort(new ConnectionAbortedException("test"));
        Assert.Equal((server, client), (pair.Connection.LocalEndPoint, pair.Connection.RemoteEndPoint));
    }

    [Fact]
    public async Task ConnectionId_Default_IsUniqueAndCanBeCarriedOver()
    {
        await using var first = await ConnectionPair.CreateAsync();
        await using var second = await ConnectionPair.CreateAsync();
        Assert.Equal(13, first.Connection.ConnectionId.Length);
        Assert.NotEqual(first.Connection.ConnectionId, second.Connection.ConnectionId);
        Assert.True(string.CompareOrdinal(first.Connection.ConnectionId, second.Connection.ConnectionId) < 0);
        Assert.Equal(SocketType.Stream, first.Connection.Socket.SocketType);
        Assert.True(first.Connection.Socket.NoDelay);
    }
}
