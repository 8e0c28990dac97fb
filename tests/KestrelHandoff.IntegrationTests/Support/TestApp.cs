using System.Reflection;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>The built test app.</summary>
internal static class TestApp
{
    private const string Name = "KestrelHandoff.TestApp";

    /// <summary>The directory it was built to, in the same configuration as the tests.</summary>
    public static string Directory { get; } = typeof(TestApp).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "TestAppDirectory").Value!;

    public static string Program { get; } = ProgramIn(Directory);

    public static string ProgramIn(string directory) => Path.Combine(directory, Name);
}
