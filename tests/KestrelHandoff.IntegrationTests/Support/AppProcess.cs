using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>One started test app and its successors, whose output arrives on the same pipes.</summary>
internal sealed class AppProcess
{
    private readonly Process _process;
    private readonly List<HttpClient> _clients = [];

    public AppProcess(Process process)
    {
        _process = process;
        Output = new HeardLines(process.StandardOutput);
        Error = new HeardLines(process.StandardError);
    }

    public int ProcessId => _process.Id;

    public HeardLines Output { get; }

    public HeardLines Error { get; }

    /// <summary>How many it has open, without the program's files, which are opened once and for all as they are needed.</summary>
    public int Descriptors => TestLibc.Descriptors(ProcessId).Count(target => !target.EndsWith(".dll", StringComparison.Ordinal));

    /// <summary>Waits until a generation serves.</summary>
    public Task<Instance> ServingAsync(int generation) => HearAsync("serving", generation);

    /// <summary>Waits for a word of a generation: started, serving, retiring, stopped.</summary>
    public async Task<Instance> HearAsync(string word, int generation)
    {
        var said = (await Output.HearAsync($"{word} {generation} ")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new Instance(generation, int.Parse(said[2], CultureInfo.InvariantCulture), said[3..]);
    }

    /// <summary>A client of the address that the app announced when it began to serve.</summary>
    public async Task<HttpClient> ClientAsync() => NewClient((await Output.HeardAsync("serving ")).Split(' ')[3]);

    public HttpClient NewClient(string address)
    {
        var client = new HttpClient { BaseAddress = new Uri(address), Timeout = Timeout.InfiniteTimeSpan }; // the guard against hangs is around each call
        _clients.Add(client);
        return client;
    }

    /// <summary>The exit code of the first generation.</summary>
    public async Task<int> ExitCodeAsync()
    {
        await _process.WaitForExitAsync().OrHang();
        return _process.ExitCode;
    }

    /// <summary>Once all its processes are gone.</summary>
    public async Task CloseAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await Output.DisposeAsync();
        await Error.DisposeAsync();
        TestContext.Current.TestOutputHelper?.WriteLine($"Process {_process.Id} and its successors:\n{Output.Text}\n{Error.Text}"); // shown if the test fails
        _process.Dispose();
    }
}

/// <summary>A generation as it announced itself.</summary>
internal sealed record Instance(int Generation, int ProcessId, IReadOnlyList<string> Addresses)
{
    public string Address => Addresses[0];

    public string Scheme => Address.Split(':')[0];

    /// <summary>The addresses with an IP address and port.</summary>
    public IReadOnlyList<EndPoint> EndPoints => [.. Addresses.Select(address => IPEndPoint.Parse(new Uri(address).Authority))];
}
