using System.Text;
using System.Text.Json.Nodes;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

/// <summary>What a peer of a later release may send, and an instance of this one must bear.</summary>
public sealed class NewerPeerTests
{
    public static TheoryData<string> Files => GoldenMessagesTests.Files;

    [Theory]
    [MemberData(nameof(Files))]
    public void UnknownProperties_InEveryObjectOfAMessage_AreIgnored(string file)
    {
        var json = JsonNode.Parse(GoldenMessagesTests.Json(file))!;
        Extend(json);
        Assert.Equivalent(GoldenMessagesTests.Message(file), MessageCodec.Decode(Encoding.UTF8.GetBytes(json.ToJsonString())), strict: true);
    }

    [Fact]
    public void UnknownCapabilities_OfAHello_AreKept()
    {
        var hello = Decode("""{"type":"hello","version":1,"minVersion":1,"processId":42,"capabilities":["teleport","connections","Connections"]}""");
        Assert.Equal(["teleport", "connections", "Connections"], Assert.IsType<Hello>(hello).Capabilities);
    }

    [Fact]
    public void Hello_OfALaterVersion_IsRead()
    {
        var hello = Assert.IsType<Hello>(Decode("""{"version":9,"minVersion":1,"features":{"teleport":true},"processId":42,"type":"hello"}"""));
        Assert.Equal((9, 1), (hello.Version, hello.MinVersion));
    }

    [Theory]
    [InlineData("""{"type":"teleport","connections":[{"to":"mars"}],"version":9}""")]
    [InlineData("""{"connections":[{"to":"mars"}],"version":9,"type":"teleport"}""")]
    public void UnknownMessage_IsRefusedByItsName(string json)
    {
        var refused = Assert.Throws<ControlException>(() => Decode(json));
        Assert.Equal(ControlProtocol.Reasons.UnknownMessage, refused.Reason);
        Assert.Contains("'teleport'", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>Gives this object, and all objects in it, properties that version 1 does not have.</summary>
    private static void Extend(JsonNode? node)
    {
        if (node is JsonArray list)
        {
            Array.ForEach([.. list], Extend);
        }
        else if (node is JsonObject item)
        {
            Array.ForEach([.. item.Select(property => property.Value)], Extend);
            item.Insert(0, "laterText", "x");
            item.Add("laterObject", new JsonObject { ["list"] = new JsonArray(1, null, "x") });
            item.Add("laterNull", null);
        }
    }

    private static ControlMessage Decode(string json) => MessageCodec.Decode(Encoding.UTF8.GetBytes(json));
}
