using System.Text;

namespace KestrelHandoff.Fuzz.Channel;

/// <summary>One send: with its first byte, descriptors; more than one message can carry go with the bytes that follow.</summary>
internal sealed record Step(int Descriptors, byte[] Bytes);

/// <summary>What one client does from connect to close.</summary>
/// <param name="Steps">The sends, in order.</param>
/// <param name="Abrupt">Closes at once after the last send; otherwise it ends its side and reads to the end.</param>
/// <param name="Expected">The messages after Hello that the server must count; null where it may refuse.</param>
internal sealed record Session(IReadOnlyList<Step> Steps, bool Abrupt, int? Expected)
{
    /// <summary>A line that <see cref="Parse"/> reads: the end, then each send as its descriptors and its bytes in hex.</summary>
    public override string ToString()
    {
        var line = new StringBuilder(Abrupt ? "close" : Expected is { } expected ? $"count={expected}" : "read");
        foreach (var step in Steps)
        {
            line.Append(' ').Append(step.Descriptors).Append(':').Append(Convert.ToHexString(step.Bytes));
        }

        return line.ToString();
    }

    public static Session Parse(string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var steps = words.Skip(1).Select(word => word.Split(':')).Select(pair => new Step(int.Parse(pair[0]), Convert.FromHexString(pair[1])));
        return new([.. steps], words[0] == "close", words[0].StartsWith("count=", StringComparison.Ordinal) ? int.Parse(words[0]["count=".Length..]) : null);
    }
}
