using System.Reflection;

namespace KestrelHandoff.Fuzz;

/// <summary>The files built into the program: golden messages, and what once failed.</summary>
internal static class Resources
{
    private static readonly Assembly Home = typeof(Resources).Assembly;

    /// <summary>One of each message, as JSON.</summary>
    public static byte[][] Golden() =>
        [.. Home.GetManifestResourceNames().Where(name => name.StartsWith("golden/", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(Read)];

    /// <summary>The lines of a corpus; # begins a comment.</summary>
    public static string[] Corpus(string name)
    {
        using var reader = new StreamReader(new MemoryStream(Read($"corpus/{name}")));
        return [.. reader.ReadToEnd().Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#')];
    }

    private static byte[] Read(string name)
    {
        using var stream = Home.GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
