using System.Text;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Transport;

/// <summary>Checks every setting and reports all faults at once.</summary>
internal sealed class SocketHandoffOptionsValidator : IValidateOptions<SocketHandoffOptions>
{
    /// <summary>sizeof(sockaddr_un.sun_path) less its final zero, unix(7).</summary>
    public const int MaxPathBytes = 107;

    /// <summary>Less the name by which a control socket is made: a slash, a dot and four digits.</summary>
    public const int MaxDirectoryBytes = MaxPathBytes - 6;

    public static readonly TimeSpan MaxDrainTimeout = TimeSpan.FromDays(1);

    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TenMinutes = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    public ValidateOptionsResult Validate(string? name, SocketHandoffOptions options)
    {
        var result = new ValidateOptionsResultBuilder();
        CheckPath(options.ControlSocketPath);
        InRange(options.LaunchTimeout, Second, Hour, nameof(options.LaunchTimeout));
        InRange(options.ExchangeTimeout, Short, TenMinutes, nameof(options.ExchangeTimeout));
        InRange(options.ReadyTimeout, Second, Hour, nameof(options.ReadyTimeout));
        InRange(options.ProbeTimeout, Short, TenMinutes, nameof(options.ProbeTimeout));
        InRange(options.WarmUpTimeLimit, TimeSpan.Zero, TenMinutes, nameof(options.WarmUpTimeLimit));
        InRange(options.CommitTimeout, Short, TenMinutes, nameof(options.CommitTimeout));
        InRange(options.Probation, TimeSpan.Zero, Hour, nameof(options.Probation));
        InRange(options.DrainTimeout, TimeSpan.Zero, MaxDrainTimeout, nameof(options.DrainTimeout));
        CheckNumber(options.WarmUpRequests, 0, 100_000, nameof(options.WarmUpRequests));
        CheckNumber(options.MaxFailures, 0, 1000, nameof(options.MaxFailures));
        CheckNumber(options.MaxDraining, 1, 100, nameof(options.MaxDraining));

        foreach (var path in options.ProbePaths)
        {
            if (!path.StartsWith('/') || path.Any(c => c is <= ' ' or '#' or > '~'))
            {
                result.AddError($"must start with '/' and be percent-encoded, such as '/products?page=1', but one is '{path}'.", nameof(options.ProbePaths));
            }
        }

        if (Uri.CheckHostName(options.ProbeHost) == UriHostNameType.Unknown)
        {
            result.AddError($"must be a host name without a port, such as 'localhost', but is '{options.ProbeHost}'.", nameof(options.ProbeHost));
        }

        if (options.WorkingDirectory is { } directory && !(Path.IsPathRooted(directory) && Directory.Exists(directory)))
        {
            result.AddError($"must be the absolute path of an existing directory, but is '{directory}'.", nameof(options.WorkingDirectory)); // each successor would look for a relative one in its own
        }

        if (options.Executable is "")
        {
            result.AddError("must name a program, but is empty; leave it unset to launch this instance's own command line.", nameof(options.Executable));
        }

        if (options is { Executable: null, Arguments: [var argument, ..] })
        {
            result.AddError(
                $"are the arguments of {nameof(options.Executable)}, which is not set, but begin with '{argument}'; set both, or leave both to launch this instance's own command line.",
                nameof(options.Arguments));
        }

        foreach (var variable in options.Environment.Keys)
        {
            if (variable is "" || variable.Contains('='))
            {
                result.AddError($"must have names that are not empty and without '=', but one is '{variable}'.", nameof(options.Environment));
            }
        }

        return result.Build();

        void CheckPath(string? path)
        {
            if (path is null)
            {
                return;
            }

            if (!Path.IsPathRooted(path) || path.EndsWith('/') || Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
            {
                result.AddError(
                    $"must be an absolute path of a file, at most {MaxPathBytes} bytes, but is '{path}' ({Encoding.UTF8.GetByteCount(path)} bytes).",
                    nameof(options.ControlSocketPath));
            }
            else if (Path.GetDirectoryName(path) is { } parent && Encoding.UTF8.GetByteCount(parent) > MaxDirectoryBytes)
            {
                result.AddError(
                    $"must be in a directory of at most {MaxDirectoryBytes} bytes, but '{parent}' has {Encoding.UTF8.GetByteCount(parent)}.",
                    nameof(options.ControlSocketPath));
            }
        }

        void CheckNumber(int value, int min, int max, string property)
        {
            if (value < min || value > max)
            {
                result.AddError($"must be from {min} to {max}, but is {value}.", property);
            }
        }

        void InRange(TimeSpan value, TimeSpan min, TimeSpan max, string property)
        {
            if (value < min || value > max)
            {
                result.AddError($"must be from {min:c} to {max:c}, but is {value:c}.", property);
            }
        }
    }
}
