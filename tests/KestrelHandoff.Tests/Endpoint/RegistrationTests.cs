using KestrelHandoff.Transport.Listeners;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Endpoint;

public sealed class RegistrationTests
{
    private readonly WebApplicationBuilder _builder = WebApplication.CreateSlimBuilder();

    public RegistrationTests() => _builder.Logging.ClearProviders();

    [Fact]
    public async Task MapSocketHandoff_WithoutAddSocketHandoff_SaysWhatToCall()
    {
        await using var app = _builder.Build();
        var thrown = Assert.Throws<InvalidOperationException>(() => app.MapSocketHandoff());
        Assert.Equal("Call builder.Services.AddSocketHandoff() before app.MapSocketHandoff().", thrown.Message);
    }

    [Fact]
    public async Task AddSocketHandoff_Once_OffersWhatTheAppAndKestrelAskFor()
    {
        _builder.Services.AddSocketHandoff();
        await using var app = _builder.Build();
        app.MapSocketHandoff();
        Assert.Equal(HandoffPhase.Starting, app.Services.GetRequiredService<ISocketHandoff>().Phase);
        Assert.IsType<HandoffListenerFactory>(app.Services.GetServices<IConnectionListenerFactory>().Last()); // Kestrel asks the last first
    }

    /// <summary>What <c>AddSocketHandoff()</c> does where it is not Linux.</summary>
    [Fact]
    public async Task AddUnsupportedSocketHandoff_TheAppStartsAndSaysWhyNot()
    {
        _builder.WebHost.UseUrls("http://127.0.0.1:0");
        _builder.Services.AddUnsupportedSocketHandoff();
        await using var app = _builder.Build();
        app.MapSocketHandoff();
        await app.StartAsync(TestContext.Current.CancellationToken).OrHang();
        var handoff = app.Services.GetRequiredService<ISocketHandoff>();
        Assert.Equal(HandoffPhase.Serving, handoff.GetStatus().Phase);
        var thrown = await Assert.ThrowsAsync<HandoffException>(() => handoff.HandOffAsync(cancellationToken: TestContext.Current.CancellationToken)).OrHang();
        Assert.Equal(HandoffFailure.NotPossible, thrown.Failure);
    }

    [Fact]
    public async Task AddSocketHandoff_Twice_IsAsOnceAndBothConfigure()
    {
        _builder.Services.AddSocketHandoff(options => options.WarmUpRequests = 1);
        var (hosted, factories, filters) = Counts();
        _builder.Services.AddSocketHandoff(options => options.ProbeHost = "second");
        Assert.Equal((hosted, factories, filters), Counts());

        await using var app = _builder.Build();
        var options = app.Services.GetRequiredService<IOptions<SocketHandoffOptions>>().Value;
        Assert.Equal((1, "second"), (options.WarmUpRequests, options.ProbeHost));

        (int, int, int) Counts() => (Count<IHostedService>(), Count<IConnectionListenerFactory>(), Count<IStartupFilter>());
        int Count<T>() => _builder.Services.Count(service => service.ServiceType == typeof(T));
    }

    [Fact]
    public async Task AddSocketHandoff_TwiceWithProbePathsInTheConfiguration_HasEachOnce()
    {
        Configure(("ProbePaths:0", "/one"));
        _builder.Services.AddSocketHandoff();
        _builder.Services.AddSocketHandoff();
        await using var app = _builder.Build();
        Assert.Equal(["/one"], app.Services.GetRequiredService<IOptions<SocketHandoffOptions>>().Value.ProbePaths);
    }

    [Fact]
    public async Task Options_Section_BindsEverySetting()
    {
        Configure(
            ("ControlSocketPath", "/run/app/control.sock"), ("LaunchTimeout", "00:00:11"), ("ExchangeTimeout", "00:00:00.250"),
            ("ReadyTimeout", "00:02:00"), ("ProbePaths:0", "/one"), ("ProbePaths:1", "/two?x=1"), ("ProbeHost", "app.example"),
            ("ProbeTimeout", "00:00:12"), ("WarmUpRequests", "5"), ("WarmUpTimeLimit", "00:00:01"), ("CommitTimeout", "00:00:13"),
            ("DrainTimeout", "01:00:00"), ("Executable", "./app"), ("Arguments:0", "--a"), ("Arguments:1", "b c"),
            ("WorkingDirectory", "/"), ("Environment:A", "1"), ("Environment:B__C", "2"));
        _builder.Services.AddSocketHandoff();
        await using var app = _builder.Build();
        Assert.Equivalent(
            new SocketHandoffOptions
            {
                ControlSocketPath = "/run/app/control.sock",
                LaunchTimeout = TimeSpan.FromSeconds(11),
                ExchangeTimeout = TimeSpan.FromMilliseconds(250),
                ReadyTimeout = TimeSpan.FromMinutes(2),
                ProbePaths = { "/one", "/two?x=1" },
                ProbeHost = "app.example",
                ProbeTimeout = TimeSpan.FromSeconds(12),
                WarmUpRequests = 5,
                WarmUpTimeLimit = TimeSpan.FromSeconds(1),
                CommitTimeout = TimeSpan.FromSeconds(13),
                DrainTimeout = TimeSpan.FromHours(1),
                Executable = "./app",
                Arguments = { "--a", "b c" },
                WorkingDirectory = "/",
                Environment = { ["A"] = "1", ["B__C"] = "2" },
            },
            app.Services.GetRequiredService<IOptions<SocketHandoffOptions>>().Value,
            strict: true);
    }

    [Fact]
    public async Task Options_BadSettings_StopTheStartAndAreAllNamed()
    {
        Configure(("LaunchTimeout", "00:00:00"), ("WarmUpRequests", "-1"));
        _builder.Services.AddSocketHandoff();
        await using var app = _builder.Build();
        var thrown = await Assert.ThrowsAsync<OptionsValidationException>(() => app.StartAsync(TestContext.Current.CancellationToken)).OrHang();
        Assert.Contains("LaunchTimeout", thrown.Message, StringComparison.Ordinal);
        Assert.Contains("WarmUpRequests", thrown.Message, StringComparison.Ordinal);
    }

    private void Configure(params (string Name, string Value)[] settings) => _builder.Configuration.AddInMemoryCollection(
        settings.Select(setting => KeyValuePair.Create($"{SocketHandoffOptions.SectionName}:{setting.Name}", (string?)setting.Value)));
}
