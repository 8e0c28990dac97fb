namespace KestrelHandoff.Fuzz.Channel;

/// <summary>What this process holds, which must not grow with the sessions it has had.</summary>
internal sealed class Burden
{
    private const int SpareDescriptors = 4; // sockets the runtime opens when it first needs them
    private const long SpareBytes = 16 << 20;

    private static readonly TimeSpan Hung = TimeSpan.FromSeconds(60);

    private readonly int _descriptors = OpenDescriptors();
    private readonly long _bytes = Bytes();

    public (int Descriptors, long Bytes) Most { get; private set; }

    /// <summary>Waits for the server to be done with the sessions that did not wait for it.</summary>
    public async Task CheckAsync(CancellationToken cancel)
    {
        var descriptors = 0;
        try
        {
            await Poll.UntilAsync(() => Task.FromResult((descriptors = OpenDescriptors()) <= _descriptors + SpareDescriptors)).WaitAsync(Hung, cancel);
        }
        catch (TimeoutException)
        {
            throw new FuzzFailure($"{descriptors} sockets and sent files are open, {_descriptors} at the begin.");
        }

        var bytes = Bytes();
        if (bytes > _bytes + SpareBytes)
        {
            throw new FuzzFailure($"{bytes} bytes are held, {_bytes} at the begin.");
        }

        Most = (Math.Max(Most.Descriptors, descriptors - _descriptors), Math.Max(Most.Bytes, bytes - _bytes));
    }

    /// <summary>Sockets, and what the clients send; the rest are assemblies, which the runtime opens when it likes.</summary>
    private static int OpenDescriptors() => new DirectoryInfo("/proc/self/fd").EnumerateFileSystemInfos()
        .Count(entry => TargetOf(entry) is { } target && (target.StartsWith("socket:", StringComparison.Ordinal) || target == "/dev/null"));

    private static string? TargetOf(FileSystemInfo entry)
    {
        try
        {
            return entry.LinkTarget;
        }
        catch (IOException)
        {
            return null; // closed since it was listed
        }
    }

    private static long Bytes() => GC.GetTotalMemory(forceFullCollection: true);
}
