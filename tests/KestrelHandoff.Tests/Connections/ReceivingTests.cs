using System.Buffers;
using System.Net.Sockets;
using System.Text;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Connections;
using KestrelHandoff.Transport.Interop;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelHandoff.Tests.Connections;

/// <summary>An event of the poller is for all that came since the last one: none may be waited for that has been.</summary>
public sealed class ReceivingTests
{
    private static readonly TransportSettings Tight = new() { MaxReadBufferSize = 10 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task BytesAndEnd_BothBeforeTheConnectionIsMade_BothAreRead()
    {
        var (client, server) = await ConnectionPair.ConnectAsync();
        using (client)
        {
            await client.SendAsync("all"u8.ToArray());
            client.Shutdown(SocketShutdown.Send);
            await using var connection = Create(server);
            Assert.Equal("all", await ReadToEndAsync(connection));
        }
    }

    [Fact]
    public async Task BytesAndEnd_TogetherWhileInputIsPaused_BothAreRead()
    {
        await using var pair = await ConnectionPair.CreateAsync(Tight);
        await PauseAsync(pair.Client, pair.Connection);
        await pair.SendAsync("all");
        pair.Client.Shutdown(SocketShutdown.Send);
        await SocketPoller.Next().CaughtUpAsync();
        Assert.EndsWith(".all", await ReadToEndAsync(pair.Connection), StringComparison.Ordinal);
    }

    /// <summary>A receive stops there, tcp(7), though more is in the queue.</summary>
    [Fact]
    public async Task UrgentByte_BetweenOthers_WhatFollowsIsRead()
    {
        await using var pair = await ConnectionPair.CreateAsync(Tight);
        await PauseAsync(pair.Client, pair.Connection);
        await pair.SendAsync("be");
        pair.Client.Send("!"u8, SocketFlags.OutOfBand);
        await pair.SendAsync("fore");
        await SocketPoller.Next().CaughtUpAsync(); // so that one signal stands for it all
        Assert.EndsWith(".before", await pair.Connection.ReadTextAsync(1006), StringComparison.Ordinal);
    }

    /// <summary>A receive stops behind them, unix(7).</summary>
    [Fact]
    public async Task DescriptorsWithTheBytes_OverAUnixSocket_WhatFollowsIsRead()
    {
        var (first, second) = Libc.SocketPair();
        using var client = new Socket(first);
        await using var connection = Create(new Socket(second), Tight);
        await PauseAsync(client, connection);
        await client.SendDescriptorsAsync("with"u8.ToArray(), [client.SafeHandle], Cancel);
        await client.SendDescriptorsAsync("out"u8.ToArray(), [client.SafeHandle], Cancel);
        await client.SendAsync("these"u8.ToArray());
        await SocketPoller.Next().CaughtUpAsync();
        Assert.EndsWith(".withoutthese", await connection.ReadTextAsync(1012), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneByteBackAndForth_ManyConnectionsAtOnce_NoneIsForgotten()
    {
        const int Rounds = 3000;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => EchoAsync()));

        static async Task EchoAsync()
        {
            await using var pair = await ConnectionPair.CreateAsync();
            var echoing = pair.Connection.Transport.Input.CopyToAsync(pair.Connection.Transport.Output, Cancel);
            var one = new byte[1];
            for (var i = 0; i < Rounds; i++)
            {
                one[0] = (byte)i;
                await pair.Client.SendAsync(one, Cancel);
                Assert.Equal(1, await pair.Client.ReceiveAsync(one, Cancel).AsTask().OrHang());
                Assert.Equal((byte)i, one[0]);
            }

            pair.Client.Shutdown(SocketShutdown.Send);
            await echoing.OrHang();
        }
    }

    [Fact]
    public async Task Idle_BeforeAndAfterBytes_HoldsNoBuffer()
    {
        var (client, server) = await ConnectionPair.ConnectAsync();
        using var pool = new CountingPool();
        using (client)
        {
            await using var connection = Create(server, pool: pool);
            Assert.Equal(0, pool.Rented);
            await client.SendAsync("request"u8.ToArray());
            await connection.ReadTextAsync(7);
            await client.SendAsync("request"u8.ToArray());
            await connection.ReadTextAsync(7);
            Assert.Equal(0, pool.Rented);
        }
    }

    [Fact]
    public async Task WokenForNothing_HoldsNoBuffer()
    {
        const int Times = 20;
        var (client, server) = await ConnectionPair.ConnectAsync();
        using var pool = new CountingPool();
        using (client)
        {
            await using var connection = Create(server, pool: pool);
            for (var i = 0; i < Times; i++)
            {
                client.Send("!"u8, SocketFlags.OutOfBand); // an event, and nothing that a receive takes
                await SocketPoller.Next().CaughtUpAsync();
                Assert.Equal(0, pool.Rented);
            }
        }
    }

    [Fact]
    public async Task MoreThanOneReceiveTakes_AllOfItIsRead()
    {
        const int Length = 200_000;
        await using var pair = await ConnectionPair.CreateAsync();
        await pair.SendAsync(Length);
        Assert.Equal(ConnectionPair.Pattern(Length), await pair.Connection.ReadExactlyAsync(Length));
    }

    private static HandoffConnection Create(Socket socket, TransportSettings? settings = null, CountingPool? pool = null) =>
        new ConnectionFactory(settings ?? new TransportSettings(), pool, NullLogger.Instance, new ConnectionRegistry()).Create(socket);

    /// <summary>More than the pipe takes: what comes next is left in the socket, until the application has read this.</summary>
    private static async Task PauseAsync(Socket client, HandoffConnection connection)
    {
        await client.SendAsync(Encoding.ASCII.GetBytes(new string('.', 1000)));
        await Poll.UntilAsync(() => Task.FromResult(connection.Socket.Available == 0));
    }

    private static async Task<string> ReadToEndAsync(HandoffConnection connection)
    {
        var bytes = new MemoryStream();
        await connection.Transport.Input.CopyToAsync(bytes, Cancel).OrHang();
        return Encoding.ASCII.GetString(bytes.ToArray());
    }

    private sealed class CountingPool : MemoryPool<byte>, IMemoryPoolFactory<byte>
    {
        private int _rented;

        public int Rented => Volatile.Read(ref _rented);

        public override int MaxBufferSize => 4096;

        public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => this;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
        {
            Interlocked.Increment(ref _rented);
            return new Block(this);
        }

        protected override void Dispose(bool disposing)
        {
        }

        private sealed class Block(CountingPool pool) : IMemoryOwner<byte>
        {
            public Memory<byte> Memory { get; } = new byte[4096];

            public void Dispose() => Interlocked.Decrement(ref pool._rented);
        }
    }
}
