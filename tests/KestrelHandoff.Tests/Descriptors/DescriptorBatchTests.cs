using System.Buffers.Binary;
using System.Text;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Tests.Descriptors;

public sealed class DescriptorBatchTests
{
    private const int SolSocket = 1, SoPassCred = 16, ScmRights = 1, ScmCredentials = 2; // asm-generic/socket.h, linux/socket.h

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(253, new[] { 3 }, new[] { 253 })]
    [InlineData(254, new[] { 1, 2 }, new[] { 253, 1 })]
    [InlineData(506, new[] { 1, 2 }, new[] { 253, 253 })]
    [InlineData(600, new[] { 1, 1, 1 }, new[] { 253, 253, 94 })]
    public async Task Send_ManyDescriptors_SplitsAsDocumented(int count, int[] bytes, int[] descriptors)
    {
        using var pair = new SocketPair();
        using var file = new TempFile();
        await pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), file.Times(count), Cancel).OrHang();

        var payload = new StringBuilder();
        for (var i = 0; i < bytes.Length; i++)
        {
            var buffer = new byte[64];
            using var received = await pair.Far.ReceiveDescriptorsAsync(buffer, cancellationToken: Cancel).OrHang();
            Assert.Equal((bytes[i], descriptors[i]), (received.BytesReceived, received.Count));
            payload.Append(Encoding.UTF8.GetString(buffer, 0, received.BytesReceived));
        }

        Assert.Equal("boy", payload.ToString());
        Assert.Equal(1, file.OpenCount);
    }

    [Theory]
    [InlineData(1, 0, "at least 1 byte")]
    [InlineData(254, 1, "at least 2 byte")]
    [InlineData(600, 2, "at least 3 byte")]
    public void Send_FewerBytesThanMessages_ThrowsAndNamesTheRemedy(int count, int bytes, string remedy)
    {
        using var pair = new SocketPair();
        using var file = new TempFile();
        var error = Assert.Throws<ArgumentException>(
            "payload", () => { _ = pair.Near.SendDescriptorsAsync(new byte[bytes], file.Times(count), Cancel).AsTask(); });
        Assert.Contains(remedy, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Receive_SmallBuffer_HasTheDescriptorsWithTheFirstByteOnly()
    {
        using var pair = new SocketPair();
        using var file = new TempFile();
        await pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), [file.Handle], Cancel).OrHang();
        using var first = await pair.Far.ReceiveDescriptorsAsync(new byte[1], cancellationToken: Cancel).OrHang();
        using var second = await pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: Cancel).OrHang();
        Assert.Equal((1, 1, 2, 0), (first.BytesReceived, first.Count, second.BytesReceived, second.Count));
    }

    [Fact]
    public async Task Receive_PassCredOn_StillHasRoomForEveryDescriptor()
    {
        using var pair = new SocketPair();
        using var file = new TempFile();
        pair.Far.SetRawSocketOption(SolSocket, SoPassCred, [1, 0, 0, 0]);
        await pair.Near.SendDescriptorsAsync("boy"u8.ToArray(), file.Times(253), Cancel).OrHang();
        using var received = await pair.Far.ReceiveDescriptorsAsync(new byte[9], cancellationToken: Cancel).OrHang();
        Assert.Equal(253, received.Count);
    }

    [Fact]
    public void Adopt_SeveralControlMessages_OwnsTheDescriptorsOfAll()
    {
        using var file = new TempFile();
        List<DescriptorHandle> adopted = [];
        byte[] control =
        [
            .. ControlMessage(ScmCredentials, 1, 2, 3),
            .. ControlMessage(ScmRights, Libc.Duplicate(file.Handle)),
            .. ControlMessage(ScmRights, Libc.Duplicate(file.Handle), Libc.Duplicate(file.Handle)),
        ];

        Libc.Adopt(control, adopted);

        Assert.Equal(3, adopted.Count);
        Assert.All(adopted, descriptor => Assert.Equal("hello world", descriptor.ReadText()));
        Assert.Equal(1, file.OpenCount);
    }

    [Fact]
    public void Adopt_NonsenseLengths_EndsWithWhatIsThere()
    {
        using var file = new TempFile();
        List<DescriptorHandle> adopted = [];
        var control = ControlMessage(ScmRights, Libc.Duplicate(file.Handle));
        Libc.Adopt([.. control, .. new byte[64]], adopted);
        Libc.Adopt(control.AsSpan(0, 7), adopted);
        Assert.Equal("hello world", Assert.Single(adopted).ReadText());
    }

    // cmsg(3): length, level, type, data, padded to eight bytes
    private static byte[] ControlMessage(int type, params int[] data)
    {
        var length = 16 + (data.Length * 4);
        var message = new byte[(length + 7) & ~7];
        BinaryPrimitives.WriteInt64LittleEndian(message, length);
        int[] words = [SolSocket, type, .. data];
        for (var i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(8 + (i * 4)), words[i]);
        }

        return message;
    }
}
