using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KestrelHandoff.Http;
using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Tests.Http;

/// <summary>The client, who has had its answer, hears of the second one only when it is another.</summary>
public sealed class ReplayedAnswerTests
{
    private const string Accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    private static readonly string Agreed = WebSocketAnswer.Describe(name => name == "Sec-WebSocket-Protocol" ? "chat" : null);

    private readonly Pipe _pipe = new();
    private readonly ReplayedOutput _output;

    public ReplayedAnswerTests() => _output = new ReplayOutput().Behind(_pipe.Writer, new Replay([], Agreed));

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    public async Task SameAnswer_InPiecesOfAnySize_WhatFollowsPasses(int size)
    {
        foreach (var piece in (Accepted + "frames").Chunk(size))
        {
            Assert.False((await WriteAsync(new string(piece))).IsCompleted);
        }

        Assert.True(await _output.IsSame);
        await WriteAsync(" and more");
        Assert.Equal("frames and more", await ReadAsync());
    }

    [Theory]
    [InlineData("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")]
    public async Task AnotherAnswer_ClientIsToldToComeBack(string answer)
    {
        Assert.False((await WriteAsync(answer)).IsCompleted);
        Assert.False((await WriteAsync("body")).IsCompleted);
        var read = await _pipe.Reader.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal([0x88, 2, 1012 >> 8, 1012 & 0xff], read.Buffer.ToArray());
        Assert.True(read.IsCompleted);
        Assert.False(await _output.IsSame); // so that what the client sent is not read as requests
    }

    [Fact]
    public async Task NoAnswer_ClientIsToldToComeBack()
    {
        await WriteAsync("HTTP/1.1 101 Sw");
        await _output.CompleteAsync();
        var read = await _pipe.Reader.ReadAsync(TestContext.Current.CancellationToken);
        Assert.Equal([0x88, 2, 1012 >> 8, 1012 & 0xff], read.Buffer.ToArray());
        Assert.False(await _output.IsSame);
    }

    [Fact]
    public async Task Head_NamesOfHeadersInAnyCase_AreFound()
    {
        await WriteAsync("HTTP/1.1 101 x\r\nsec-websocket-protocol:chat\r\n\r\n");
        await WriteAsync("on");
        Assert.Equal("on", await ReadAsync());
    }

    private async Task<FlushResult> WriteAsync(string text) =>
        await _output.WriteAsync(Encoding.ASCII.GetBytes(text), TestContext.Current.CancellationToken);

    private async Task<string> ReadAsync()
    {
        var read = await _pipe.Reader.ReadAsync(TestContext.Current.CancellationToken);
        return Encoding.ASCII.GetString(read.Buffer.ToArray());
    }
}
