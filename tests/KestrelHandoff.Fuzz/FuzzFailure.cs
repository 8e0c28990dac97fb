namespace KestrelHandoff.Fuzz;

/// <summary>Something was found. The message says what, and has all that is needed to see it again.</summary>
internal sealed class FuzzFailure(string message) : Exception(message);
