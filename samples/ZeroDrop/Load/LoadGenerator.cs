using System.Net;
using ZeroDrop.Measure;

namespace ZeroDrop.Load;

/// <summary>All load on one app, from <see cref="StartAsync"/> to <see cref="StopAsync"/>.</summary>
internal sealed class LoadGenerator : IAsyncDisposable
{
    private const double NewConnectionsPerClient = 10;
    private const double TimeoutMs = 10_000;
    private static readonly TimeSpan ExpiryLook = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AbortLook = TimeSpan.FromMilliseconds(20); // a client may be just opening its next connection

    private readonly CancellationTokenSource _stopping = new(); // cancelled by StopAsync alone
    private readonly CancellationTokenSource _aborting = new(); // cancelled by DisposeAsync alone
    private readonly Pacer _pacer = new();
    private readonly List<LoadClient> _clients = [];
    private readonly List<StreamClient> _streams = [];
    private readonly List<Task> _running = [];
    private readonly LoadContext _context;
    private readonly EndPoint _endPoint;
    private readonly string _host;
    private Timer? _expiry;

    public LoadGenerator(RunSettings settings, Target target, Recorder recorder)
    {
        _context = new LoadContext(recorder, _pacer, _stopping.Token, _aborting.Token);
        _endPoint = target.EndPoint;
        _host = target.Host;
        Idle = new IdleConnections(_context, _endPoint, _host, settings.Idle);
        AddPaced(RequestKind.KeepAlive, settings.KeepAlive, settings.Rate, reuse: true);
        var clients = (int)Math.Ceiling(settings.NewConnections / NewConnectionsPerClient);
        AddPaced(RequestKind.NewConnection, clients, settings.NewConnections / Math.Max(1.0, clients), reuse: false);
        Add(RequestKind.Slow, settings.Slow, settings.SlowMs / (double)Math.Max(1, settings.Slow), reuse: true,
            () => Request.Get($"/slow?ms={settings.SlowMs}", _host), settings.SlowMs);
        Add(RequestKind.Upload, settings.Uploads, 25, reuse: true, () => Request.Post("/upload", _host, settings.UploadBytes));
        Add(RequestKind.Connector, settings.Connectors, 1, reuse: false, () => Request.Get("/", _host, close: true));
        AddStreams(settings, target);
    }

    public IdleConnections Idle { get; }

    public StreamCounters WebSockets { get; } = new("WebSocket");

    public StreamCounters Tcp { get; } = new("raw TCP");

    /// <summary>The longest round of the client's pacer, in milliseconds.</summary>
    public double OwnStallMs => Clock.Milliseconds(_pacer.WorstRound);

    public async Task StartAsync()
    {
        _expiry = new Timer(_ => Expire(Clock.Now), null, ExpiryLook, ExpiryLook);
        _running.AddRange(_clients.Select(c => c.RunAsync()));
        _running.AddRange(_streams.Select(s => s.RunAsync()));
        await Idle.AskAllAsync();
    }

    /// <summary>Forgets the stalls of the warm-up.</summary>
    public void BeginMeasuring() => _pacer.ForgetWorstRound();

    /// <summary>Throws what has ended a client before its time.</summary>
    public void ThrowIfBroken() => _running.FirstOrDefault(t => t.IsFaulted)?.GetAwaiter().GetResult();

    /// <summary>Lets every request under way end; nothing new is sent.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_running);
        await Task.Yield(); // the last client ended on the pacer's or the socket thread, and neither may wait for itself
        _running.Clear();
    }

    /// <summary>Ends at once, also in the middle of requests.</summary>
    public async ValueTask DisposeAsync()
    {
        await _aborting.CancelAsync();
        var stopped = StopAsync();
        while (!stopped.IsCompleted)
        {
            Expire(long.MaxValue);
            await Task.WhenAny(stopped, Task.Delay(AbortLook));
        }

        await stopped;
        if (_expiry is not null)
        {
            await _expiry.DisposeAsync();
        }

        foreach (var connection in Idle.Connections)
        {
            connection.Dispose();
        }

        _pacer.Dispose();
        _stopping.Dispose();
        _aborting.Dispose();
    }

    private void AddPaced(RequestKind kind, int count, double rate, bool reuse)
    {
        var period = 1000 / rate;
        for (var i = 0; i < count; i++)
        {
            Add(new LoadPattern(kind, Clock.Ticks(period), Clock.Ticks(period * i / count), reuse, TimeoutMs), Request.Get("/", _host));
        }
    }

    private void Add(RequestKind kind, int count, double spacingMs, bool reuse, Func<Request> request, double answerMs = 0)
    {
        for (var i = 0; i < count; i++)
        {
            Add(new LoadPattern(kind, 0, Clock.Ticks(spacingMs * i), reuse, TimeoutMs + answerMs), request());
        }
    }

    private void Add(LoadPattern pattern, Request request) =>
        _clients.Add(new LoadClient(_context, pattern, request, new HttpConnection(_endPoint), (ulong)_clients.Count << 32));

    private void AddStreams(RunSettings settings, Target target)
    {
        for (var i = 0; i < settings.WebSockets; i++)
        {
            _streams.Add(new StreamClient(_context, WebSockets, timeout => WebSocketEcho.OpenAsync(_endPoint, _host, timeout)));
        }

        for (var i = 0; i < settings.Tcp; i++)
        {
            _streams.Add(new StreamClient(_context, Tcp, timeout => TcpEcho.OpenAsync(target.TcpEndPoint!, timeout)));
        }
    }

    private void Expire(long now)
    {
        foreach (var client in _clients)
        {
            client.Connection.Expire(now);
        }

        foreach (var connection in Idle.Connections)
        {
            connection.Expire(now);
        }
    }
}
