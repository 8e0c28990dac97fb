using KestrelHandoff.Transport;

namespace KestrelHandoff.Tests.Coordination;

public sealed class SocketHandoffOptionsValidatorTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromTicks(1);

    [Fact]
    public void Validate_Defaults_AreValid() => Assert.Empty(Faults(_ => { }));

    [Theory]
    [InlineData(nameof(SocketHandoffOptions.LaunchTimeout), "00:00:01", "01:00:00")]
    [InlineData(nameof(SocketHandoffOptions.ReadyTimeout), "00:00:01", "01:00:00")]
    [InlineData(nameof(SocketHandoffOptions.ExchangeTimeout), "00:00:00.1000000", "00:10:00")]
    [InlineData(nameof(SocketHandoffOptions.ProbeTimeout), "00:00:00.1000000", "00:10:00")]
    [InlineData(nameof(SocketHandoffOptions.CommitTimeout), "00:00:00.1000000", "00:10:00")]
    [InlineData(nameof(SocketHandoffOptions.WarmUpTimeLimit), "00:00:00", "00:10:00")]
    [InlineData(nameof(SocketHandoffOptions.Probation), "00:00:00", "01:00:00")]
    [InlineData(nameof(SocketHandoffOptions.DrainTimeout), "00:00:00", "1.00:00:00")]
    public void Validate_TimeOutOfRange_NamesOptionValueAndRange(string option, string min, string max)
    {
        var property = typeof(SocketHandoffOptions).GetProperty(option)!;
        var (shortest, longest) = (TimeSpan.Parse(min), TimeSpan.Parse(max));
        Assert.Empty(Faults(options => property.SetValue(options, shortest)));
        Assert.Empty(Faults(options => property.SetValue(options, longest)));
        foreach (var wrong in new[] { shortest - Tick, longest + Tick })
        {
            AssertFault(Faults(options => property.SetValue(options, wrong)), option, min, max, wrong.ToString("c"));
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1001)]
    public void Validate_MaxDrainingOutOfRange_NamesOptionValueAndRange(int count) => AssertFault(
        Faults(options => options.MaxDraining = count), nameof(SocketHandoffOptions.MaxDraining), "1 to 100", $"{count}");

    [Theory]
    [InlineData(-1)]
    [InlineData(1001)]
    public void Validate_MaxFailuresOutOfRange_NamesOptionValueAndRange(int count) => AssertFault(
        Faults(options => options.MaxFailures = count), nameof(SocketHandoffOptions.MaxFailures), "0 to 1000", $"{count}");

    [Theory]
    [InlineData(-1)]
    [InlineData(100_001)]
    public void Validate_WarmUpRequestsOutOfRange_NamesOptionValueAndRange(int count) => AssertFault(
        Faults(options => options.WarmUpRequests = count), nameof(SocketHandoffOptions.WarmUpRequests), "0 to 100000", $"{count}");

    [Theory]
    [InlineData(0)]
    [InlineData(100_000)]
    public void Validate_WarmUpRequestsAtTheEndsOfTheRange_AreValid(int count) =>
        Assert.Empty(Faults(options => options.WarmUpRequests = count));

    [Theory]
    [InlineData("")]
    [InlineData("A=B")]
    public void Validate_EnvironmentWithANameThatIsNone_NamesIt(string variable) => AssertFault(
        Faults(options => options.Environment[variable] = "value"), nameof(SocketHandoffOptions.Environment), $"'{variable}'");

    [Theory]
    [InlineData("relative.sock")]
    [InlineData("")]
    [InlineData("/run/app/")]
    public void Validate_ControlSocketPathThatIsNoAbsoluteFile_NamesOptionAndValue(string path) => AssertFault(
        Faults(options => options.ControlSocketPath = path), nameof(SocketHandoffOptions.ControlSocketPath), $"'{path}'", "absolute");

    [Theory]
    [InlineData('a', 107, true)]
    [InlineData('a', 108, false)]
    [InlineData('é', 107, true)] // two bytes each, 53 of them
    [InlineData('é', 109, false)]
    public void Validate_ControlSocketPathLength_CountsBytes(char fill, int bytes, bool isValid)
    {
        var path = "/" + new string(fill, (bytes - 1) / (fill < 128 ? 1 : 2));
        var faults = Faults(options => options.ControlSocketPath = path);
        if (isValid)
        {
            Assert.Empty(faults);
        }
        else
        {
            AssertFault(faults, nameof(SocketHandoffOptions.ControlSocketPath), path, "107", $"{bytes} bytes");
        }
    }

    [Theory]
    [InlineData(101, true)]
    [InlineData(102, false)]
    public void Validate_ControlSocketPathWithALongDirectory_MustHaveRoomToMakeIt(int directoryBytes, bool isValid)
    {
        var faults = Faults(options => options.ControlSocketPath = "/" + new string('d', directoryBytes - 1) + "/s");
        if (isValid)
        {
            Assert.Empty(faults);
        }
        else
        {
            AssertFault(faults, nameof(SocketHandoffOptions.ControlSocketPath), "at most 101 bytes", $"has {directoryBytes}.");
        }
    }

    [Theory]
    [InlineData("products")]
    [InlineData("")]
    [InlineData("/a b")]
    [InlineData("/ä")]
    [InlineData("/a#b")]
    [InlineData("/a\r\nHost: x")]
    [InlineData("http://other/")]
    public void Validate_ProbePathThatIsNoPath_NamesOptionAndValue(string path) =>
        AssertFault(Faults(options => options.ProbePaths.Add(path)), nameof(SocketHandoffOptions.ProbePaths), $"'{path}'");

    [Fact]
    public void Validate_SeveralBadProbePaths_NamesEach()
    {
        var fault = string.Join('\n', Faults(options =>
        {
            options.ProbePaths.Add("one");
            options.ProbePaths.Add("/products?page=1&q=%C3%A4");
            options.ProbePaths.Add("two");
        }));
        Assert.Contains("'one'", fault, StringComparison.Ordinal);
        Assert.Contains("'two'", fault, StringComparison.Ordinal);
        Assert.DoesNotContain("page=1&q", fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:80")]
    [InlineData("http://a")]
    [InlineData("a b")]
    public void Validate_ProbeHostThatIsNoHost_NamesOptionAndValue(string host) =>
        AssertFault(Faults(options => options.ProbeHost = host), nameof(SocketHandoffOptions.ProbeHost), $"'{host}'");

    [Fact]
    public void Validate_WorkingDirectoryThatIsNotThere_NamesOptionAndValue() => AssertFault(
        Faults(options => options.WorkingDirectory = "/nowhere/at/all"), nameof(SocketHandoffOptions.WorkingDirectory), "'/nowhere/at/all'");

    /// <summary>It is there now, but each successor would look for it in the directory it starts in.</summary>
    [Fact]
    public void Validate_RelativeWorkingDirectory_NamesOptionAndValue() => AssertFault(
        Faults(options => options.WorkingDirectory = "."), nameof(SocketHandoffOptions.WorkingDirectory), "absolute path", "'.'");

    [Fact]
    public void Validate_ArgumentsWithoutExecutable_NamesTheFirst() =>
        AssertFault(Faults(options => options.Arguments.Add("--fast")), nameof(SocketHandoffOptions.Arguments), "'--fast'");

    [Fact]
    public void Validate_EmptyExecutable_SaysToLeaveItUnset() =>
        AssertFault(Faults(options => options.Executable = ""), nameof(SocketHandoffOptions.Executable), "leave it unset");

    [Fact]
    public void Validate_SeveralFaults_AreReportedAtOnce() => Assert.Equal(
        4,
        Faults(options =>
        {
            options.ControlSocketPath = "x";
            options.LaunchTimeout = TimeSpan.Zero;
            options.WarmUpRequests = -1;
            options.ProbeHost = "";
        }).Length);

    private static string[] Faults(Action<SocketHandoffOptions> change)
    {
        var options = new SocketHandoffOptions();
        change(options);
        return [.. new SocketHandoffOptionsValidator().Validate(null, options).Failures ?? []];
    }

    private static void AssertFault(string[] faults, params string[] parts)
    {
        var fault = Assert.Single(faults);
        Assert.All(parts, part => Assert.Contains(part, fault, StringComparison.Ordinal));
    }
}
