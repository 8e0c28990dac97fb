namespace KestrelHandoff.Fuzz;

/// <summary>Where the properties of a JSON text are, as far as one can tell: by now it may be none.</summary>
internal static class Json
{
    /// <summary>A property: from the quote before its name to the end of its value.</summary>
    internal readonly record struct Property(int Start, int Value, int End);

    public static List<Property> Properties(ReadOnlySpan<byte> json)
    {
        var found = new List<Property>();
        for (var at = 0; at < json.Length; at++)
        {
            if (json[at] != '"')
            {
                continue;
            }

            var end = EndOfString(json, at);
            if (end < json.Length && json[end] == ':')
            {
                found.Add(new(at, end + 1, EndOfValue(json, end + 1)));
            }

            at = end - 1;
        }

        return found;
    }

    private static int EndOfString(ReadOnlySpan<byte> json, int quote)
    {
        for (var at = quote + 1; at < json.Length; at++)
        {
            if (json[at] == '\\')
            {
                at++;
            }
            else if (json[at] == '"')
            {
                return at + 1;
            }
        }

        return json.Length;
    }

    private static int EndOfValue(ReadOnlySpan<byte> json, int start)
    {
        var depth = 0;
        for (var at = start; at < json.Length; at++)
        {
            switch ((char)json[at])
            {
                case '"':
                    at = EndOfString(json, at) - 1;
                    break;
                case '{' or '[':
                    depth++;
                    break;
                case '}' or ']' when --depth < 0:
                case ',' when depth == 0:
                    return at;
            }
        }

        return json.Length;
    }
}
