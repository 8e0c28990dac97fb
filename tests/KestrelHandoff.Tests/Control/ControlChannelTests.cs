using System.Net.Sockets;
using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Tests.Control;

public sealed class ControlChannelTests : IDisposable
{
    private static readonly Offer TwoListeners = new([new("a", "a", false), new("b", "b", false)], Last: true);

    private readonly SocketPair _pair = new();
    private readonly ControlChannel _near;
    private readonly ControlChannel _far;

    public ControlChannelTests() => (_near, _far) = (new(_pair.Near), new(_pair.Far));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Peer_OverASocketPair_IsThisProcess() =>
        Assert.Equal((Environment.ProcessId, Libc.EffectiveUser()), (_near.Peer.ProcessId, _near.Peer.UserId));

    [Fact]
    public async Task Receive_EachMessage_IsWhatWasSentWithItsDescriptors()
    {
        foreach (var (_, message) in Messages.All)
        {
            using var file = new TempFile("content");
            await _near.SendAsync(message, file.Times(message.DescriptorCount), Cancel).OrHang();
            using (var received = (await _far.ReceiveAsync(Cancel).OrHang())!)
            {
                Assert.Equivalent(message, received.Message, strict: true);
                Assert.Equal(message.DescriptorCount, received.Descriptors.Count);
                Assert.All(received.Descriptors, descriptor => Assert.Equal(file.Path, OpenDescriptors.TargetOf(descriptor)));
                Assert.All(received.Descriptors, descriptor => Assert.True(OpenDescriptors.IsCloseOnExec(descriptor)));
            }

            Assert.Equal(1, file.OpenCount); // disposing closed what was not taken
        }
    }

    [Fact]
    public async Task Receive_TwoMessagesBackToBack_KeepTheirOwnDescriptors()
    {
        using TempFile first = new("first"), second = new("second");
        await _near.SendAsync(new Probe("one"), [first.Handle], Cancel).OrHang();
        await _near.SendAsync(new Commit(), Cancel).OrHang();
        await _near.SendAsync(TwoListeners, [second.Handle, first.Handle], Cancel).OrHang();
        await _near.SendAsync(new Probe("two"), [second.Handle], Cancel).OrHang();

        Assert.Equal("first", await ReceiveTextsAsync());
        Assert.Equal("", await ReceiveTextsAsync());
        Assert.Equal("second,first", await ReceiveTextsAsync());
        Assert.Equal("second", await ReceiveTextsAsync());
    }

    [Fact]
    public async Task Receive_MostDescriptorsOfOneMessage_AllCome()
    {
        using var file = new TempFile();
        var offer = new Offer([.. Enumerable.Range(0, Libc.MaxDescriptors).Select(i => new OfferedListener($"{i}", "", false))], true);
        await _near.SendAsync(offer, file.Times(Libc.MaxDescriptors), Cancel).OrHang();
        using var received = await _far.ReceiveAsync(Cancel).OrHang();
        Assert.Equal(Libc.MaxDescriptors, received!.Descriptors.Count);
    }

    [Fact]
    public async Task Send_WrongCountOfDescriptors_ThrowsBeforeAnythingIsSent()
    {
        using var file = new TempFile();
        await Assert.ThrowsAsync<ArgumentException>(() => _near.SendAsync(new Probe("a"), Cancel)).OrHang();
        await Assert.ThrowsAsync<ArgumentException>(() => _near.SendAsync(new Commit(), [file.Handle], Cancel)).OrHang();
        await _near.SendAsync(new Accepting(), Cancel).OrHang();
        Assert.IsType<Accepting>((await _far.ReceiveAsync(Cancel).OrHang())!.Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(253)]
    public async Task Receive_WrongCountOfDescriptors_IsRefusedAndNothingIsLeaked(int count)
    {
        using var file = new TempFile();
        await _pair.Near.SendDescriptorsAsync(MessageCodec.Encode(TwoListeners), file.Times(count), Cancel).OrHang();
        var refused = await RefusedAsync();
        Assert.Equal(ControlProtocol.Reasons.Descriptors, refused.Reason);
        Assert.Equal($"Offer came with {count} descriptors, but takes 2.", refused.Message);
        Assert.Equal(1, file.OpenCount);
    }

    [Fact]
    public async Task Receive_DescriptorsWithLaterBytesOfAMessage_CountForItToo()
    {
        using var file = new TempFile();
        var frame = MessageCodec.Encode(TwoListeners);
        await _pair.Near.SendDescriptorsAsync(frame.AsMemory(0, 9), [file.Handle], Cancel).OrHang();
        await _pair.Near.SendDescriptorsAsync(frame.AsMemory(9), [file.Handle], Cancel).OrHang();
        using var received = await _far.ReceiveAsync(Cancel).OrHang();
        Assert.Equal(2, received!.Descriptors.Count);
    }

    [Fact]
    public async Task Receive_EndlessDescriptorsInOneMessage_IsRefusedAndNothingIsLeaked()
    {
        using var file = new TempFile();
        await _pair.Near.SendDescriptorsAsync(MessageCodec.Encode(new Abort(new string('a', 100))), file.Times(2 * Libc.MaxDescriptors), Cancel).OrHang();
        Assert.Equal(ControlProtocol.Reasons.Descriptors, (await RefusedAsync()).Reason);
        Assert.Equal(1, file.OpenCount);
    }

    [Fact]
    public async Task Receive_DescriptorsOfAMessageThatCannotBeRead_AreClosed()
    {
        using var file = new TempFile();
        byte[] frame = [0, 0, 0, 2, (byte)'{', (byte)'x'];
        await _pair.Near.SendDescriptorsAsync(frame, file.Times(5), Cancel).OrHang();
        Assert.Equal(ControlProtocol.Reasons.Malformed, (await RefusedAsync()).Reason);
        Assert.Equal(1, file.OpenCount);
    }

    [Fact]
    public async Task Receive_PeerClosedBetweenMessages_IsNull()
    {
        await _near.SendAsync(new Commit(), Cancel).OrHang();
        _near.Dispose();
        Assert.IsType<Commit>((await _far.ReceiveAsync(Cancel).OrHang())!.Message);
        Assert.Null(await _far.ReceiveAsync(Cancel).OrHang());
        Assert.Null(await _far.ReceiveAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task Receive_PeerClosedInsideAMessage_IsThePeersEndAndNothingIsLeaked()
    {
        using var file = new TempFile();
        var frame = MessageCodec.Encode(new Probe("a"));
        for (var length = 1; length < frame.Length; length++)
        {
            using var pair = new SocketPair();
            await pair.Near.SendDescriptorsAsync(frame.AsMemory(0, length), [file.Handle], Cancel).OrHang();
            pair.Near.Dispose();
            await Assert.ThrowsAsync<EndOfStreamException>(() => new ControlChannel(pair.Far).ReceiveAsync(Cancel)).OrHang();
        }

        Assert.Equal(1, file.OpenCount);
    }

    [Fact]
    public async Task Receive_BytesOneAtATime_BecomeTheMessages()
    {
        using var file = new TempFile("drip");
        byte[] frame = MessageCodec.Encode(new Probe("a"));
        for (var round = 0; round < 2; round++)
        {
            var receiving = _far.ReceiveAsync(Cancel);
            for (var i = 0; i < frame.Length; i++)
            {
                Assert.False(receiving.IsCompleted);
                await _pair.Near.SendDescriptorsAsync(frame.AsMemory(i, 1), i == 0 ? [file.Handle] : [], Cancel).OrHang();
            }

            using var received = await receiving.OrHang();
            Assert.Equal("drip", received!.Descriptors[0].ReadText());
        }
    }

    [Fact]
    public async Task Receive_PeerDiedWithUnreadBytesOfOurs_IsNull()
    {
        await _far.SendAsync(new Commit(), Cancel).OrHang();
        _near.Dispose(); // which resets, for the Commit was not read
        Assert.Null(await _far.ReceiveAsync(Cancel).OrHang());
    }

    [Fact]
    public async Task Send_PeerIsGone_ThrowsWhatCountsAsGone()
    {
        _near.Dispose();
        var thrown = await Assert.ThrowsAsync<SocketException>(() => _far.SendAsync(new Commit(), Cancel)).OrHang();
        Assert.True(PeerGone.Is(thrown));
    }

    [Fact]
    public async Task Receive_Cancelled_LosesNothing()
    {
        using var cancel = new CancellationTokenSource();
        var receiving = _far.ReceiveAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receiving).OrHang();
        await _near.SendAsync(new Commit(), Cancel).OrHang();
        Assert.IsType<Commit>((await _far.ReceiveAsync(Cancel).OrHang())!.Message);
    }

    public void Dispose() => _pair.Dispose();

    private async Task<string> ReceiveTextsAsync()
    {
        using var received = await _far.ReceiveAsync(Cancel).OrHang();
        return string.Join(',', received!.Descriptors.Select(descriptor => descriptor.ReadText()));
    }

    private Task<ControlException> RefusedAsync() => Assert.ThrowsAsync<ControlException>(() => _far.ReceiveAsync(Cancel)).OrHang();
}
