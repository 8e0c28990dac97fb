namespace KestrelHandoff;

/// <summary>Settings of the socket handoff, checked once, when the app starts. They bind from the section <c>SocketHandoff</c>.</summary>
/// <remarks>A value out of its range stops the start with an <c>OptionsValidationException</c> that names every bad setting.</remarks>
public sealed class SocketHandoffOptions
{
    /// <summary>The configuration section that the options bind from: <c>SocketHandoff</c>.</summary>
    public const string SectionName = "SocketHandoff";

    /// <summary>The path of the Unix control socket over which an independently started instance finds this one and takes over from it.</summary>
    /// <remarks>
    /// With a path set, every instance that starts with it takes over from the one that serves there: give each app a path of its own.
    /// The directory is made with mode 0700 if it is missing; it must belong to this user or root and nobody else may write to it.
    /// Without a path only successors launched by this instance can take over, through a private socket that lives as long as the handoff.
    /// </remarks>
    /// <value>Absolute, at most 107 bytes of UTF-8 (<c>sun_path</c>, unix(7)), 101 of them for the directory. The default is null: no independent successors.</value>
    public string? ControlSocketPath { get; set; }

    /// <summary>How long a launched successor may take from its start to its first word on the control socket.</summary>
    /// <value>1 second to 1 hour. The default is 30 seconds.</value>
    public TimeSpan LaunchTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long one exchange on the control socket may take: the connect, the greeting, the offer, the confirmation, a batch of live connections.</summary>
    /// <remarks>On probation the predecessor asks after each tenth of <see cref="Probation"/>, at most a second apart, and the successor's health checks have half of this time to answer.</remarks>
    /// <value>100 milliseconds to 10 minutes. The default is 5 seconds.</value>
    public TimeSpan ExchangeTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the successor may take from the offer until its app has started and its health checks pass.</summary>
    /// <remarks>
    /// Only checks with the tag <c>handoff</c> are asked, and Degraded passes. When the time runs out the successor is stopped and this instance
    /// goes on serving; no connection is lost.
    /// </remarks>
    /// <value>1 second to 1 hour. The default is 60 seconds.</value>
    public TimeSpan ReadyTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>The paths that the predecessor requests from the successor before it commits: they probe it and warm it up.</summary>
    /// <remarks>
    /// Each must be answered 2xx or 3xx, or the handoff fails before the successor has a client. With none set, <c>/</c> is requested and any answer below 500 will do,
    /// since not every app has a page there.
    /// Those that clients ask for most: code that no probe has run is compiled while a client waits.
    /// </remarks>
    /// <value>Absolute paths with an optional query, such as <c>/products?page=1</c>. The default is none.</value>
    public IList<string> ProbePaths { get; } = [];

    /// <summary>The host name of the probe requests: their <c>Host</c> header, and the server name (SNI) on HTTPS endpoints.</summary>
    /// <value>A host that the app accepts (<c>AllowedHosts</c>). The default is <c>localhost</c>.</value>
    public string ProbeHost { get; set; } = "localhost";

    /// <summary>How long the successor may take to answer one probe request.</summary>
    /// <value>100 milliseconds to 10 minutes. The default is 10 seconds.</value>
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How many requests, spread over the probe paths, warm the successor up before its first client.</summary>
    /// <remarks>For each listener that is probed: the first that answers, and every further one of HTTPS. They are GETs through the app's whole pipeline, with the
    /// <c>User-Agent</c> <c>KestrelHandoff-Probe</c>.</remarks>
    /// <value>0 (each path is probed once, no warm-up) to 100,000. The default is 600.</value>
    public int WarmUpRequests { get; set; } = 600;

    /// <summary>The time after which the warm-up of a listener ends although <see cref="WarmUpRequests"/> is not reached.</summary>
    /// <value>0 to 10 minutes. The default is 3 seconds.</value>
    public TimeSpan WarmUpTimeLimit { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>How long the successor may take from the commit to its word that it accepts.</summary>
    /// <value>100 milliseconds to 10 minutes. The default is 5 seconds.</value>
    public TimeSpan CommitTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the predecessor watches the successor after the commit, and can still take everything back.</summary>
    /// <remarks>
    /// New connections go to the successor; the predecessor keeps those it has. A successor that dies, does not answer within
    /// <see cref="ExchangeTimeout"/>, or fails a health check (tag <c>handoff</c>) in that time is rolled back: the predecessor accepts again, no
    /// connect is refused, and the connections that a living successor has accepted come back. Live connections move when it is over.
    /// </remarks>
    /// <value>0 (none) to 1 hour. The default is 5 seconds.</value>
    public TimeSpan Probation { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the predecessor goes on serving the connections it has, after the successor took over, before it stops.</summary>
    /// <remarks>
    /// It stops when its last connection and the instances before it have gone. When the time runs out the host stops as on SIGTERM: what is then in flight has
    /// <c>HostOptions.ShutdownTimeout</c> more before it is cut.
    /// </remarks>
    /// <value>0 to 24 hours. The default is 30 seconds.</value>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How many handoffs in a row may fail before further ones to the same build are refused.</summary>
    /// <remarks>A new build, one that comes 10 minutes after the last failure, or one that is forced (<c>POST /admin/handoff?force=true</c>, <see cref="ISocketHandoff.HandOffAsync"/>), is tried in any case. An independent successor counts if it had clients already and was rolled back for its own fault: a supervisor that restarts it would put it before them again and again. It cannot be forced.</remarks>
    /// <value>0 (no limit) to 1000. The default is 5.</value>
    public int MaxFailures { get; set; } = 5;

    /// <summary>How many earlier instances may drain at a time.</summary>
    /// <remarks>
    /// When it is reached, further handoffs are refused, launched and independent ones, until one has gone: at the latest when its <see cref="DrainTimeout"/> and its
    /// host's <c>ShutdownTimeout</c> are over.
    /// One that is forced (<c>POST /admin/handoff?force=true</c>, <see cref="ISocketHandoff.HandOffAsync"/>) is served in any case.
    /// </remarks>
    /// <value>1 to 100. The default is 8.</value>
    public int MaxDraining { get; set; } = 8;

    /// <summary>The program that a launched successor runs.</summary>
    /// <remarks>The default is the command line of this instance as it was typed, looked up again: a <c>current</c> symlink to a new release is followed.</remarks>
    /// <value>A path or a name on PATH. With it set, <see cref="Arguments"/> are the whole argument list. The default is null.</value>
    public string? Executable { get; set; }

    /// <summary>The arguments of <see cref="Executable"/>, without which there must be none.</summary>
    /// <value>One string an argument. The default is none.</value>
    public IList<string> Arguments { get; } = [];

    /// <summary>The directory that a launched successor starts in.</summary>
    /// <value>The absolute path of an existing directory. The default is null: the directory this instance was started in, by the name in <c>$PWD</c> if that names it
    /// (shells set it), else by its resolved path: a launcher that does not set it must say here where a <c>current</c> symlink is to be followed.</value>
    public string? WorkingDirectory { get; set; }

    /// <summary>Environment variables that a launched successor gets, besides or instead of those this instance was started with.</summary>
    /// <value>Names without <c>=</c>, not empty. The default is none.</value>
    public IDictionary<string, string> Environment { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
