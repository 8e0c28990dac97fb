using System.Collections.Concurrent;
using System.Globalization;

namespace KestrelHandoff.IntegrationTests.Support;

/// <summary>Clients that POST through a proxy as fast as they are answered, and all that went wrong for them.</summary>
internal sealed class ProxiedLoad : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly SocketsHttpHandler _handler = new() { MaxConnectionsPerServer = int.MaxValue };
    private readonly HttpClient _client;
    private readonly string _body;
    private readonly ConcurrentDictionary<int, int> _byGeneration = new();
    private readonly Task _running;
    private int _next;
    private TaskCompletionSource _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ProxiedLoad(Uri proxy, int clients, int bodyLength)
    {
        _body = new string('x', bodyLength);
        _client = new HttpClient(_handler) { BaseAddress = proxy };
        _running = Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(RunAsync)));
    }

    /// <summary>What was no right answer, in words.</summary>
    public ConcurrentQueue<string> Failures { get; } = new();

    /// <summary>The ids of the requests that were answered rightly.</summary>
    public ConcurrentQueue<string> Answered { get; } = new();

    public static ProxiedLoad Start(Uri proxy, int clients, int bodyLength) => new(proxy, clients, bodyLength);

    /// <summary>Waits until a generation has answered so many, or anything went wrong.</summary>
    public async Task AnsweredByAsync(int generation, int count)
    {
        while (_byGeneration.GetValueOrDefault(generation) < count && Failures.IsEmpty)
        {
            var progress = Volatile.Read(ref _progress).Task;
            if (_byGeneration.GetValueOrDefault(generation) < count)
            {
                await progress.OrHang();
            }
        }
    }

    /// <summary>Waits for the answers under way; nothing new is sent.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running.OrHang();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _client.Dispose();
        _handler.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            var id = Interlocked.Increment(ref _next).ToString(CultureInfo.InvariantCulture);
            try
            {
                await AskAsync(id);
            }
            catch (HttpRequestException e)
            {
                Failures.Enqueue($"{id}: {e.Message}");
            }

            Interlocked.Exchange(ref _progress, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        }
    }

    private async Task AskAsync(string id)
    {
        using var content = new StringContent(_body);
        using var response = await _client.PostAsync($"/execute/{id}", content).OrHang();
        var answer = await response.Content.ReadAsStringAsync().OrHang();
        var colon = answer.IndexOf(':', StringComparison.Ordinal);
        if (!response.IsSuccessStatusCode || colon < 0 || answer[(colon + 1)..] != $"{id} {_body}")
        {
            Failures.Enqueue($"{id}: {(int)response.StatusCode} {answer}");
            return;
        }

        Answered.Enqueue(id);
        _byGeneration.AddOrUpdate(int.Parse(answer[..colon], CultureInfo.InvariantCulture), 1, (_, count) => count + 1);
    }
}
