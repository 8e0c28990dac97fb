using System.Buffers.Binary;
using System.Text;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

public sealed class MessageCodecTests
{
    [Theory]
    [InlineData("""{"type":"surrender","x":1}""", "'surrender'")]
    [InlineData("""{"x":1,"type":"Hello"}""", "'Hello'")] // names are case-sensitive
    [InlineData("""{"type":""}""", "''")]
    public void Decode_UnknownType_IsRefusedByItsName(string json, string name)
    {
        var refused = Refused(json);
        Assert.Equal(ControlProtocol.Reasons.UnknownMessage, refused.Reason);
        Assert.Contains(name, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_UnknownTypeOfAnEndlessName_IsRefusedInFewWords()
    {
        var refused = Refused($$"""{"type":"{{new string('ä', 300_000)}}"}""");
        Assert.True(refused.Message.Length < 1000);
        MessageCodec.Encode(new Refuse(refused.Reason, refused.Message));
    }

    [Theory]
    [InlineData("""{"type":"probe","listener":"a","later":{"deep":[1,{"x":null}]},"more":true}""")]
    [InlineData("""{"later":[1,2],"listener":"a","type":"probe"}""")]
    [InlineData(""" { "listener" : "a" , "type" : "probe" } """)]
    public void Decode_UnknownFieldsAndTypeAnywhere_AreFine(string json) => Assert.Equal(new Probe("a"), Decode(json));

    [Fact]
    public void Decode_TypeLastInALongMessage_IsFine()
    {
        var hello = Assert.IsType<Hello>(Decode("""{"processId":7,"minVersion":1,"version":3,"capabilities":["x"],"type":"hello"}"""));
        Assert.Equal((3, 1, 7, "x"), (hello.Version, hello.MinVersion, hello.ProcessId, Assert.Single(hello.Capabilities)));
    }

    [Fact]
    public void Decode_OptionalFieldsMissing_AreTheirDefaults()
    {
        var hello = Assert.IsType<Hello>(Decode("""{"type":"hello","version":1,"minVersion":1,"processId":1}"""));
        Assert.Empty(hello.Capabilities);
        Assert.Null(hello.Token);
        var welcome = Assert.IsType<Welcome>(Decode(
            """{"type":"welcome","version":1,"processId":42,"generation":2,"handoffId":"01234567-89ab-cdef-0123-456789abcdef","standardStreams":false}"""));
        Assert.Empty(welcome.Capabilities);
        Assert.Null(Assert.IsType<Confirm>(Decode("""{"type":"confirm"}""")).ControlPath);
    }

    [Theory]
    [InlineData("""{"type":"hello","version":1,"minVersion":1}""")]
    [InlineData("""{"type":"welcome","version":1,"processId":1,"generation":2,"handoffId":"01234567-89ab-cdef-0123-456789abcdef"}""")]
    [InlineData("""{"type":"offer","last":true}""")]
    [InlineData("""{"type":"offer","listeners":[{"name":"a","address":"b"}],"last":true}""")]
    [InlineData("""{"type":"ready"}""")]
    [InlineData("""{"type":"ready","listeners":[{"name":"a"}]}""")]
    [InlineData("""{"type":"probe"}""")]
    [InlineData("""{"type":"refuse","reason":"x"}""")]
    [InlineData("""{"type":"abort"}""")]
    public void Decode_FieldMissing_IsMalformed(string json) => AssertMalformed(json);

    [Theory]
    [InlineData("null")]
    [InlineData("""{"type":"probe","listener":null}""")]
    [InlineData("""{"type":"offer","listeners":null,"last":true}""")]
    [InlineData("""{"type":"offer","listeners":[null],"last":true}""")]
    [InlineData("""{"type":"ready","listeners":[null]}""")]
    [InlineData("""{"type":"migrate","connections":[null]}""")]
    [InlineData("""{"type":"draining","instances":[null]}""")]
    [InlineData("""{"type":"hello","version":1,"minVersion":1,"processId":1,"capabilities":null}""")]
    [InlineData("""{"type":"hello","version":1,"minVersion":1,"processId":1,"capabilities":[null]}""")]
    [InlineData("""{"type":"hello","version":null,"minVersion":1,"processId":1}""")]
    [InlineData("""{"type":null}""")]
    public void Decode_NullWhereNoneIsAllowed_IsMalformed(string json) => AssertMalformed(json);

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("\"probe\"")]
    [InlineData("""{"type":1}""")]
    [InlineData("""{"type":{}}""")]
    [InlineData("""{"type":"commit"}x""")]
    [InlineData("""{"type":"commit"}{"type":"commit"}""")]
    [InlineData("""{"type":"commit",}""")]
    [InlineData("""{"type":"commit" /* c */}""")]
    [InlineData("""{"type":"commit","type":"accepting"}""")]
    [InlineData("""{"type":"probe","listener":1}""")]
    [InlineData("""{"type":"hello","version":1.5,"minVersion":1,"processId":1}""")]
    [InlineData("""{"type":"hello","version":99999999999,"minVersion":1,"processId":1}""")]
    [InlineData("""{"type":"probe","listener":"a","x":[[[[[[[[[[1]]]]]]]]]]}""")]
    [InlineData("""{"type":"\ud800"}""")]
    [InlineData("""{"type":"nope","\ud800":1}""")]
    [InlineData("""{"\ud800":1,"type":"nope"}""")]
    public void Decode_WrongJson_IsRefused(string json) => Refused(json);

    [Fact]
    public void Decode_BytesThatAreNoUtf8_AreRefused()
    {
        Refused([.. "{\"type\":\""u8, 0xff, 0xfe, .. "\"}"u8]);
        Refused([.. "{\"type\":\"probe\",\"listener\":\""u8, 0xff, .. "\"}"u8]);
        Refused([0xef, 0xbb, 0xbf, .. "{\"type\":\"commit\"}"u8]);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(uint.MaxValue)] // -1
    [InlineData(0x80000000u)]
    [InlineData((1u << 20) + 1)]
    [InlineData(0x47455420u)] // "GET "
    public void DecodeLength_OutOfRange_IsMalformedAndSaysTheRange(uint length)
    {
        var header = new byte[ControlProtocol.HeaderLength];
        BinaryPrimitives.WriteUInt32BigEndian(header, length);
        var refused = Assert.Throws<ControlException>(() => MessageCodec.DecodeLength(header));
        Assert.Equal(ControlProtocol.Reasons.Malformed, refused.Reason);
        Assert.Contains($"{length} is not from 1 to 1048576", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1 << 20)]
    public void DecodeLength_EndsOfTheRange_AreFine(int length)
    {
        var header = new byte[ControlProtocol.HeaderLength];
        BinaryPrimitives.WriteInt32BigEndian(header, length);
        Assert.Equal(length, MessageCodec.DecodeLength(header));
    }

    [Fact]
    public void Encode_MessageOverTheLimit_IsRefusedBeforeItIsSent()
    {
        var frame = MessageCodec.Encode(new Abort(""));
        var room = ControlProtocol.MaxMessageLength - (frame.Length - ControlProtocol.HeaderLength);
        Assert.Equal(ControlProtocol.HeaderLength + ControlProtocol.MaxMessageLength, MessageCodec.Encode(new Abort(new string('a', room))).Length);
        Assert.Throws<ControlException>(() => MessageCodec.Encode(new Abort(new string('a', room + 1))));
    }

    private static ControlMessage Decode(string json) => MessageCodec.Decode(Encoding.UTF8.GetBytes(json));

    private static ControlException Refused(string json) => Refused(Encoding.UTF8.GetBytes(json));

    private static ControlException Refused(byte[] json) => Assert.Throws<ControlException>(() => MessageCodec.Decode(json));

    private static void AssertMalformed(string json) => Assert.Equal(ControlProtocol.Reasons.Malformed, Refused(json).Reason);
}
