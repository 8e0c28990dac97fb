using System.Globalization;
using Spectre.Console;
using ZeroDrop.Load;
using ZeroDrop.Measure;

namespace ZeroDrop.Report;

/// <summary>How things are written and coloured, the same everywhere.</summary>
internal static class Words
{
    private static readonly Color[] GenerationColors =
        [Color.DodgerBlue1, Color.SpringGreen3, Color.Gold1, Color.MediumPurple1, Color.DarkOrange, Color.Turquoise2];

    public static Color ColorOf(int generation) => GenerationColors[Math.Max(0, generation - 1) % GenerationColors.Length];

    public static string Of(RunMode mode) => mode == RunMode.Handoff ? "handoff" : "stop-start";

    public static string Of(Failure failure) => failure switch
    {
        Failure.Refused => "refused",
        Failure.Reset => "reset",
        Failure.EndOfStream => "end of stream instead of an answer",
        Failure.TimedOut => "no answer in time",
        Failure.Status => "status other than 200",
        Failure.Mismatch => "answer to something else",
        _ => "malformed answer",
    };

    public static string Of(RequestKind kind) => kind switch
    {
        RequestKind.KeepAlive => "keep-alive",
        RequestKind.NewConnection => "new connection",
        RequestKind.Slow => "slow request",
        RequestKind.Upload => "upload",
        RequestKind.Connector => "connector",
        _ => "idle connection",
    };

    /// <summary>Thousands apart by a thin gap, as in 12 345.</summary>
    public static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture).Replace(',', ' ');

    public static string Ms(double milliseconds) => double.IsNaN(milliseconds) ? "–"
        : milliseconds.ToString(milliseconds < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);
}
