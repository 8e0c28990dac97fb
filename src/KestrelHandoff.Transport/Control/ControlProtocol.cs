namespace KestrelHandoff.Transport.Control;

/// <summary>The numbers of the protocol, docs/protocol.md.</summary>
internal static class ControlProtocol
{
    /// <summary>The version this build speaks, and the lowest it still understands.</summary>
    public const int Version = 1;
    public const int MinVersion = 1;

    /// <summary>Bytes of the length that goes before each message, big-endian.</summary>
    public const int HeaderLength = 4;

    /// <summary>The longest message, in bytes.</summary>
    public const int MaxMessageLength = 1 << 20;

    /// <summary>The most of a detail that is sent, in characters: it is an exception's message, and may be of any length.</summary>
    private const int MaxDetailLength = 4096;

    public static string Shorten(string detail) => detail.Length <= MaxDetailLength ? detail : detail[..MaxDetailLength];

    /// <summary>The reasons of <see cref="Refuse"/>.</summary>
    public static class Reasons
    {
        public const string Version = "version";
        public const string Token = "token";
        public const string User = "user";
        public const string Busy = "busy";
        public const string Malformed = "malformed";
        public const string UnknownMessage = "unknown-message";
        public const string UnexpectedMessage = "unexpected-message";
        public const string Descriptors = "descriptors";
    }

    /// <summary>What a successor can do beyond the base protocol; both sides use what both name.</summary>
    public static class Capabilities
    {
        /// <summary>Takes the predecessor's stdout and stderr (two descriptors of the Welcome) in place of the pipes it was launched with.</summary>
        public const string StandardStreams = "standard-streams";

        /// <summary>Takes live connections after the confirmation.</summary>
        public const string Connections = "connections";

        /// <summary>Answers Check, and gives back what it accepted on RollBack.</summary>
        public const string Probation = "probation";

        /// <summary>Understands Draining.</summary>
        public const string Draining = "draining";
    }
}
