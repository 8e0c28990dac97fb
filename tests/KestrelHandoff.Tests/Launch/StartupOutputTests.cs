using System.IO.Pipes;
using System.Text;
using KestrelHandoff.Transport.Launch;

namespace KestrelHandoff.Tests.Launch;

public sealed class StartupOutputTests
{
    private readonly StartupOutput _output = new();

    [Fact]
    public async Task Copy_Bytes_GoThroughAndAreKept()
    {
        using var to = new MemoryStream();
        await CopyAsync("one\ntwo ä\n", to);
        Assert.Equal("one\ntwo ä\n", Encoding.UTF8.GetString(to.ToArray()));
        Assert.Equal("one\ntwo ä\n", _output.ToString());
    }

    [Fact]
    public async Task Copy_Nothing_KeepsNothing()
    {
        await CopyAsync("", Stream.Null);
        Assert.Equal("", _output.ToString());
    }

    [Fact]
    public async Task Copy_TwoStreams_AreKeptTogether()
    {
        await CopyAsync("out\n", Stream.Null);
        await CopyAsync("err\n", Stream.Null);
        Assert.Equal("out\nerr\n", _output.ToString());
    }

    [Fact]
    public async Task Copy_ExactlyWhatIsKept_KeepsAll()
    {
        var text = Lines(StartupOutput.Kept);
        await CopyAsync(text, Stream.Null);
        Assert.Equal(text, _output.ToString());
    }

    [Theory]
    [InlineData(StartupOutput.Kept + 1)]
    [InlineData(StartupOutput.Kept + 50)]
    [InlineData(5 * StartupOutput.Kept + 1234)]
    public async Task Copy_MoreThanIsKept_KeepsTheEndFromTheStartOfALine(int bytes)
    {
        var text = Lines(bytes);
        await CopyAsync(text, Stream.Null);
        var kept = _output.ToString();
        Assert.EndsWith(kept, text, StringComparison.Ordinal);
        Assert.Equal('\n', text[^(kept.Length + 1)]);
        Assert.InRange(kept.Length, StartupOutput.Kept - 100, StartupOutput.Kept);
    }

    [Fact]
    public async Task Copy_OneEndlessLine_KeepsItsEnd()
    {
        await CopyAsync(new string('a', StartupOutput.Kept) + "end", Stream.Null);
        var kept = _output.ToString();
        Assert.Equal(StartupOutput.Kept, kept.Length);
        Assert.EndsWith("aend", kept, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Copy_MoreThanIsKeptCutInsideACharacter_StartsAtALine()
    {
        await CopyAsync("x" + new string('ä', StartupOutput.Kept) + "\nend\n", Stream.Null);
        Assert.Equal("end\n", _output.ToString());
    }

    [Fact]
    public async Task Copy_TargetThrows_GoesOnReadingAndKeeping()
    {
        var text = Lines(20_000);
        await CopyAsync(text, new BrokenStream());
        Assert.EndsWith(_output.ToString(), text, StringComparison.Ordinal);
        Assert.NotEmpty(_output.ToString());
    }

    /// <summary>Something the successor has started outlives it, and never closes its output.</summary>
    [Fact]
    public async Task Copy_SuccessorIsGoneAndItsPipeIsNot_ClosesBothSides()
    {
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        var from = new AnonymousPipeClientStream(PipeDirection.In, pipe.ClientSafePipeHandle);
        var to = new MemoryStream();
        using var isOver = new CancellationTokenSource();
        var copying = _output.CopyAsync(from, to, isOver.Token);

        await isOver.CancelAsync();
        await copying.OrHang();

        Assert.Throws<ObjectDisposedException>(() => from.SafePipeHandle);
        Assert.False(to.CanWrite);
    }

    private static string Lines(int bytes)
    {
        var text = new StringBuilder();
        for (var i = 0; text.Length < bytes; i++)
        {
            text.Append("line ").Append(i).Append('\n');
        }

        return text.ToString(text.Length - bytes, bytes);
    }

    private async Task CopyAsync(string text, Stream to) => await _output.CopyAsync(new MemoryStream(Encoding.UTF8.GetBytes(text)), to, CancellationToken.None).OrHang();

    /// <summary>A pipe that nobody reads any more.</summary>
    private sealed class BrokenStream : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            ValueTask.FromException(new IOException("Broken pipe"));
    }
}
