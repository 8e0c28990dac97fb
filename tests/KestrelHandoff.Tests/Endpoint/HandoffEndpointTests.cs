using System.Net;
using System.Text.Json;
using KestrelHandoff.Endpoint;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KestrelHandoff.Tests.Endpoint;

public sealed class HandoffEndpointTests : IAsyncLifetime
{
    private readonly FakeHandoff _handoff = new();
    private readonly HttpClient _client = new();
    private WebApplication _app = null!;

    public static TheoryData<HandoffFailure, int, string> Failures => new()
    {
        { HandoffFailure.AlreadyRunning, 409, "already-running" },
        { HandoffFailure.NotPossible, 501, "not-possible" },
        { HandoffFailure.Suspended, 409, "suspended" },
        { HandoffFailure.TooManyDraining, 409, "too-many-draining" },
        { HandoffFailure.LaunchFailed, 502, "launch-failed" },
        { HandoffFailure.SuccessorExited, 502, "successor-exited" },
        { HandoffFailure.Timeout, 504, "timeout" },
        { HandoffFailure.Refused, 502, "refused" },
        { HandoffFailure.ProtocolError, 502, "protocol-error" },
        { HandoffFailure.ProbeFailed, 502, "probe-failed" },
        { HandoffFailure.Unhealthy, 502, "unhealthy" },
        { HandoffFailure.Stopped, 503, "stopped" },
    };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Address => _app.Urls.Single() + "/admin/handoff";

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton<ISocketHandoff>(_handoff);
        _app = builder.Build();
        _app.MapSocketHandoff();
        await _app.StartAsync(Cancel).OrHang();
    }

    [Fact]
    public void Failures_EveryOne_HasAStatus() =>
        Assert.Equal(Enum.GetValues<HandoffFailure>(), Failures.Select(row => row.Data.Item1).Order());

    [Fact]
    public void Rehearse_WritesAWholeReport()
    {
        using var report = JsonDocument.Parse(ReadableJson.Rehearse());
        Assert.Superset(new HashSet<string> { "successor", "phases", "listeners", "probe" }, report.RootElement.EnumerateObject().Select(property => property.Name).ToHashSet());
    }

    [Theory]
    [InlineData("respond-async")]
    [InlineData("wait=10, Respond-Async; x=1")]
    public async Task Post_PrefersAsync_AcceptedAtOnceWithTheStatus(string prefer)
    {
        var running = new TaskCompletionSource<HandoffReport>(TaskCreationOptions.RunContinuationsAsynchronously);
        _handoff.Result = running.Task;
        using var request = new HttpRequestMessage(HttpMethod.Post, Address) { Headers = { { "Prefer", prefer } } };
        using var response = await _client.SendAsync(request, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal(("/admin/handoff", "respond-async"), (response.Headers.Location!.ToString(), response.Headers.GetValues("Preference-Applied").Single()));
        Assert.Equal("serving", (await ReadAsync(response)).GetProperty("phase").GetString());
        running.SetException(new HandoffException(HandoffFailure.Timeout, "Nobody waits for it."));
    }

    [Fact]
    public async Task Post_ForceIsNoBoolean_BadRequestNamesIt()
    {
        using var response = await _client.PostAsync($"{Address}?force=perhaps", null, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("'perhaps'", (await ReadAsync(response)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_PrefersAsyncButIsRefused_IsAProblem()
    {
        _handoff.Result = Task.FromException<HandoffReport>(new HandoffException(HandoffFailure.AlreadyRunning, "What happened."));
        using var request = new HttpRequestMessage(HttpMethod.Post, Address) { Headers = { { "Prefer", "respond-async" } } };
        using var response = await _client.SendAsync(request, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Post_Failed_IsItsStatusAndAProblem(HandoffFailure failure, int status, string type)
    {
        _handoff.Result = Task.FromException<HandoffReport>(new HandoffException(failure, "What happened."));
        using var response = await _client.PostAsync(Address, null, Cancel).OrHang();
        Assert.Equal((HttpStatusCode)status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        var problem = await ReadAsync(response);
        Assert.Equal($"urn:kestrel-handoff:{type}", problem.GetProperty("type").GetString());
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.NotEqual("", problem.GetProperty("title").GetString());
        var servesOn = failure is HandoffFailure.AlreadyRunning or HandoffFailure.Stopped ? "" : " This instance goes on serving.";
        Assert.Equal($"What happened.{servesOn}", problem.GetProperty("detail").GetString());
        Assert.False(problem.TryGetProperty("report", out _));
    }

    [Fact]
    public async Task Post_FailedWithAReport_TellsExitCodeOutputAndPhases()
    {
        var report = Report() with
        {
            Outcome = HandoffOutcome.Failed,
            Failure = HandoffFailure.SuccessorExited,
            ExitCode = 134,
            StartupOutput = "Unhandled <exception>\n",
        };
        _handoff.Result = Task.FromException<HandoffReport>(new HandoffException(HandoffFailure.SuccessorExited, "It exited.") { Report = report });
        using var response = await _client.PostAsync(Address, null, Cancel).OrHang();
        var problem = await ReadAsync(response);
        Assert.Equal(134, problem.GetProperty("exitCode").GetInt32());
        Assert.Equal("Unhandled <exception>\n", problem.GetProperty("startupOutput").GetString());
        Assert.Equal("successorExited", problem.GetProperty("report").GetProperty("failure").GetString());
        Assert.Equal("launching", problem.GetProperty("report").GetProperty("phases")[0].GetProperty("phase").GetString());
        Assert.False(problem.GetProperty("report").TryGetProperty("startupOutput", out _)); // told once
    }

    [Fact]
    public async Task Post_FailedBeforeThereWasAProcess_IsAProblemAllTheSame()
    {
        _handoff.Result = Task.FromException<HandoffReport>(new HandoffException(HandoffFailure.LaunchFailed, "Gone.") { Report = Report() });
        using var response = await _client.PostAsync(Address, null, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("launch-failed", (await ReadAsync(response)).GetProperty("type").GetString()!.Split(':')[^1]);
    }

    [Fact]
    public async Task Post_Completed_IsTheReport()
    {
        _handoff.Result = Task.FromResult(Report() with { Outcome = HandoffOutcome.Completed, Successor = new(43, 2) });
        using var response = await _client.PostAsync(Address, null, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.True(response.Headers.CacheControl!.NoStore);
        var report = await ReadAsync(response);
        Assert.Equal("completed", report.GetProperty("outcome").GetString());
        Assert.Equal(43, report.GetProperty("successor").GetProperty("processId").GetInt32());
        Assert.False(report.TryGetProperty("failure", out _));
    }

    [Fact]
    public async Task Get_IsTheStatusAndStartsNothing()
    {
        using var response = await _client.GetAsync(Address, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(response.Headers.CacheControl!.NoStore);
        var status = await ReadAsync(response);
        Assert.Equal("serving", status.GetProperty("phase").GetString());
        Assert.Equal(7, status.GetProperty("connections").GetInt32());
        Assert.Equal("127.0.0.1:80", status.GetProperty("listeners")[0].GetString());
        Assert.Equal(0, _handoff.Calls);
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("GET")]
    public async Task Caller_ThroughAProxy_IsForbiddenAndStartsNothing(string method)
    {
        using var request = new HttpRequestMessage(new(method), Address) { Headers = { { "X-Forwarded-For", "1.2.3.4" } } };
        using var response = await _client.SendAsync(request, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        var problem = await ReadAsync(response);
        Assert.Equal("urn:kestrel-handoff:forbidden", problem.GetProperty("type").GetString());
        Assert.Contains("X-Forwarded-For", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, _handoff.Calls);
    }

    [Theory]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("HEAD")]
    public async Task Method_ThatIsNeither_IsNotAllowed(string method)
    {
        using var request = new HttpRequestMessage(new(method), Address);
        using var response = await _client.SendAsync(request, Cancel).OrHang();
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _app.DisposeAsync();
    }

    private static HandoffReport Report() => new(Guid.Empty, HandoffTrigger.Spawned, DateTimeOffset.UnixEpoch)
    {
        Predecessor = new(42, 1),
        Phases = [new(HandoffPhase.Launching, 1.5)],
    };

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response) =>
        JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancel).OrHang()).RootElement;

    private sealed class FakeHandoff : ISocketHandoff
    {
        public Task<HandoffReport> Result { get; set; } = Task.FromResult(Report());

        public int Calls { get; private set; }

        public int Generation => 1;

        public HandoffPhase Phase => HandoffPhase.Serving;

        public Task Activated => Task.CompletedTask;

        public CancellationToken Retiring => CancellationToken.None;

        public Task<HandoffReport> HandOffAsync(bool force = false, CancellationToken cancellationToken = default)
        {
            Calls++;
            return Result;
        }

        public HandoffStatus GetStatus() => new()
        {
            ProcessId = 42,
            Generation = 1,
            Phase = Phase,
            Since = DateTimeOffset.UnixEpoch,
            Connections = 7,
            Listeners = ["127.0.0.1:80"],
        };
    }
}
