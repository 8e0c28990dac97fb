using System.CommandLine;
using System.Globalization;
using System.Numerics;
using System.Reflection;

namespace ZeroDrop;

/// <summary>The options, their ranges and what they mean together.</summary>
internal static class CommandLine
{
    private const double ShortInterval = 2; // a soak is many handoffs, not much time between them
    private const double ShortestProbation = 0.5; // in which a successor can still be met
    private static readonly Option<int> Handoffs = Number("--handoffs", 3, 0, 1000, "How often the instance is replaced.");
    private static readonly Option<double> Interval = Number("--interval", 4.0, 1.5, 3600, "Seconds of steady load before each handoff and after the last.");
    private static readonly Option<double> Probation = Number("--probation", 1.0, 0, 3600, "Seconds in which a handoff can be rolled back.");
    private static readonly Option<double> Duration = Number("--duration", 0.0, 0, 86_400, "Seconds of load at least; 0: what the handoffs take.");
    private static readonly Option<int> KeepAlive = Number("--keep-alive", 32, 0, 2000, "Kept-alive connections that ask all the time.");
    private static readonly Option<double> Rate = Number("--rate", 50.0, 0.1, 1000, "Requests a second on each of them.");
    private static readonly Option<int> NewConnections = Number("--new-connections", 200, 0, 5000, "Connections opened a second for one request each.");
    private static readonly Option<int> Slow = Number("--slow", 8, 0, 1000, "Slow requests in flight at any time.");
    private static readonly Option<int> SlowMs = Number("--slow-ms", 2000, 1, 600_000, "Milliseconds a slow request takes.");
    private static readonly Option<int> Idle = Number("--idle", 200, 0, 10_000, "Idle kept-alive connections, asked after each handoff.");
    private static readonly Option<int> Uploads = Number("--uploads", 4, 0, 500, "Uploads under way at any time, each sent in pieces.");
    private static readonly Option<int> UploadBytes = Number("--upload-bytes", 65_536, 1, 16_777_216, "Bytes of an upload.");
    private static readonly Option<int> Connectors = Number("--connectors", 0, 0, 2000,
        "Connectors that open a connection for each request as fast as they can; alone unless other load is named.");
    private static readonly Option<int> WebSockets = Number("--websockets", 0, 0, 1000, "Open WebSockets, each echoing twenty times a second.");
    private static readonly Option<int> Tcp = Number("--tcp", 0, 0, 1000, "Open raw TCP connections, each echoing twenty times a second.");
    private static readonly Option<string> Mode = new("--mode")
    {
        Description = "handoff, or stop-start: SIGTERM, wait, start again, as people do without.",
        DefaultValueFactory = _ => "handoff",
    };
    private static readonly Option<bool> Failing = new("--failing")
    {
        Description = "Makes every second handoff fail: its successor is killed, stopped or told to end. Exit code 0: all ended as they should.",
    };
    private static readonly Option<bool> Compare = new("--compare") { Description = "Both modes, one after the other, side by side." };
    private static readonly Option<string?> Url = new("--url") { Description = "Load this running app (http://…) and start none." };
    private static readonly Option<string?> TcpEndPoint = new("--tcp-endpoint") { Description = "HOST:PORT of its raw TCP echo, for --tcp with --url." };
    private static readonly Option<string?> App = new("--app") { Description = "The demo app's HandoffDemo.dll, if not the one built along." };
    private static readonly Option<bool> Json = new("--json") { Description = "Nothing but one JSON document on standard output." };
    private static readonly Option<bool> Quiet = new("--quiet") { Description = "No display while it runs." };

    public static RootCommand Create(Func<RunSettings, CancellationToken, Task<int>> run)
    {
        var command = new RootCommand(
            "Puts load on an app, hands it over to the next generation, and counts what its clients noticed. Exit code 1: a request was lost, refused or reset, a stream was cut, or a handoff failed; 2: it could not run; else 0.")
        {
            Handoffs, Interval, Probation, Duration, KeepAlive, Rate, NewConnections, Slow, SlowMs, Idle, Uploads, UploadBytes, Connectors,
            WebSockets, Tcp, Mode, Failing, Compare, Url, TcpEndPoint, App, Json, Quiet,
        };
        Mode.AcceptOnlyFromAmong("handoff", "stop-start");
        command.Validators.Add(result =>
        {
            var url = result.GetValue(Url);
            if (url is not null && (result.GetValue(Compare) || result.GetValue(Mode) == "stop-start"))
            {
                result.AddError("--url names an app that is not ours to stop: --mode stop-start and --compare cannot be used with it.");
            }

            if (result.GetValue(Failing) && (url is not null || result.GetValue(Compare) || result.GetValue(Mode) == "stop-start"))
            {
                result.AddError("--failing is for handoffs of an app that is ours: --url, --compare and --mode stop-start cannot be used with it.");
            }

            if (result.GetValue(Failing) && result.GetResult(Probation) is { Implicit: false } && result.GetValue(Probation) < ShortestProbation)
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"--failing needs a --probation of at least {ShortestProbation} seconds."));
            }

            if (url is not null && (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Scheme != "http"))
            {
                result.AddError($"--url must be an http:// URL, but is '{url}'.");
            }

            if (url is not null && result.GetValue(Tcp) > 0 && result.GetValue(TcpEndPoint) is null)
            {
                result.AddError("--tcp with --url needs --tcp-endpoint HOST:PORT.");
            }

            if (url is null && !File.Exists(DemoPath(result.GetValue(App))))
            {
                result.AddError($"The demo app is not at '{DemoPath(result.GetValue(App))}'. Build samples/ZeroDrop, or name it with --app.");
            }
        });
        command.SetAction((result, cancel) => run(Settings(result), cancel));
        return command;
    }

    private static RunSettings Settings(ParseResult result)
    {
        return new RunSettings
        {
            Modes = result.GetValue(Compare) ? [RunMode.StopStart, RunMode.Handoff]
                : result.GetValue(Mode) == "handoff" ? [RunMode.Handoff] : [RunMode.StopStart],
            Handoffs = result.GetValue(Handoffs),
            Interval = result.GetValue(Failing) && result.GetResult(Interval)!.Implicit ? ShortInterval : result.GetValue(Interval),
            Probation = result.GetValue(Probation),
            Duration = result.GetValue(Duration),
            Failing = result.GetValue(Failing),
            KeepAlive = Other(KeepAlive),
            Rate = result.GetValue(Rate),
            NewConnections = Other(NewConnections),
            Slow = Other(Slow),
            SlowMs = result.GetValue(SlowMs),
            Idle = Other(Idle),
            Uploads = Other(Uploads),
            UploadBytes = result.GetValue(UploadBytes),
            Connectors = result.GetValue(Connectors),
            WebSockets = result.GetValue(WebSockets),
            Tcp = result.GetValue(Tcp),
            Json = result.GetValue(Json),
            Quiet = result.GetValue(Quiet) || result.GetValue(Json),
            Url = result.GetValue(Url),
            TcpEndPoint = result.GetValue(TcpEndPoint),
            App = DemoPath(result.GetValue(App)),
        };

        int Other(Option<int> option) => result.GetValue(Connectors) > 0 && result.GetResult(option)!.Implicit ? 0 : result.GetValue(option);
    }

    private static string DemoPath(string? named) => named ?? typeof(CommandLine).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .First(a => a.Key == "DemoAssembly").Value!;

    private static Option<T> Number<T>(string name, T byDefault, T min, T max, string description)
        where T : struct, INumber<T>
    {
        var range = string.Create(CultureInfo.InvariantCulture, $"{min} to {max}");
        var option = new Option<T>(name) { Description = $"{description} ({range})", DefaultValueFactory = _ => byDefault, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && T.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out var value) && (value < min || value > max))
            {
                result.AddError($"{name} must be from {range}, but is {result.Tokens[0].Value}.");
            }
        });
        return option;
    }
}
