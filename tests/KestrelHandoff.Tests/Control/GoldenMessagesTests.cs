using System.Text;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

/// <summary>The bytes of protocol version 1 stay what they were: an instance of today hands over to one of next year.</summary>
public sealed class GoldenMessagesTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Control", "Golden", "v1");

    public static TheoryData<string> Files => [.. Messages.All.Select(entry => entry.File)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Decode_File_IsTheMessage(string file)
    {
        var message = Message(file);
        var decoded = MessageCodec.Decode(Json(file));
        Assert.IsType(message.GetType(), decoded);
        Assert.Equivalent(message, decoded, strict: true);
        Assert.Equal(message.DescriptorCount, decoded.DescriptorCount);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Encode_Message_IsTheFile(string file)
    {
        var frame = MessageCodec.Encode(Message(file));
        Assert.Equal(Encoding.UTF8.GetString(Json(file)), Encoding.UTF8.GetString(frame.AsSpan(ControlProtocol.HeaderLength)));
    }

    [Fact]
    public void Frame_File_IsTheLengthBigEndianAndTheJson()
    {
        var frame = File.ReadAllBytes(Path.Combine(Folder, "hello.bin"));
        Assert.Equal(frame, MessageCodec.Encode(Message("hello")));
        Assert.Equal(frame.Length - ControlProtocol.HeaderLength, MessageCodec.DecodeLength(frame));
        Assert.Equal(Json("hello"), frame[ControlProtocol.HeaderLength..]);
    }

    [Fact]
    public void Files_OfEveryKnownMessage_AreThere() => Assert.Equal(
        ControlJson.Default.ControlMessage.PolymorphismOptions!.DerivedTypes.Select(derived => (string)derived.TypeDiscriminator!).Order(StringComparer.Ordinal),
        Messages.All.Select(entry => entry.File).Where(file => !IsMinimal(file)).Order(StringComparer.Ordinal));

    [Fact]
    public void Files_EachOne_HasItsMessage() => Assert.Equal(
        Directory.GetFiles(Folder, "*.json").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal),
        Messages.All.Select(entry => entry.File).Order(StringComparer.Ordinal));

    [Fact]
    public void Files_ThatAreNotMinimal_HaveEveryProperty() => Assert.All(
        Messages.All.Where(entry => !IsMinimal(entry.File)),
        entry => Assert.DoesNotContain(entry.Message.GetType().GetProperties(), property => property.GetValue(entry.Message) is null));

    [Fact]
    public void DescriptorCount_EachMessage_IsAsTheProtocolSays() => Assert.Equal(
        [("welcome", 2), ("offer", 2), ("probe", 1), ("confirm", 1), ("migrate", 2), ("migrate-minimal", 1)],
        Messages.All.Where(entry => entry.Message.DescriptorCount > 0).Select(entry => (entry.File, entry.Message.DescriptorCount)));

    internal static byte[] Json(string file) => File.ReadAllBytes(Path.Combine(Folder, file + ".json"));

    internal static ControlMessage Message(string file) => Messages.All.Single(entry => entry.File == file).Message;

    private static bool IsMinimal(string file) => file.EndsWith("-minimal", StringComparison.Ordinal);
}
