using System.Reflection;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>The programs under samples/, built in the same configuration as the tests.</summary>
/// <remarks>A sample is found when the test project has a ProjectReference with ReferenceOutputAssembly="false" to it.</remarks>
internal static class SampleApp
{
    /// <summary>The path of a sample's assembly, to run with <c>dotnet</c>.</summary>
    public static string PathOf(string sample)
    {
        var path = Path.Combine(Metadata("SamplesDirectory"), sample, Metadata("SamplesOutput"), sample + ".dll");
        return File.Exists(path)
            ? path
            : throw new FileNotFoundException($"Build samples/{sample} in the configuration of the tests first.", path);
    }

    /// <summary>Starts a sample as a process of its own.</summary>
    public static ChildProcess Start(string sample, params string[] arguments) =>
        ChildProcess.Start("dotnet", [PathOf(sample), .. arguments]);

    private static string Metadata(string key) =>
        typeof(SampleApp).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
