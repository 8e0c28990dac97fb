using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Coordination;
using Microsoft.Extensions.Options;

namespace KestrelHandoff.Tests.Coordination;

/// <summary>Whether who answers at the control socket is the predecessor, when its line has ended without a word.</summary>
public sealed class SignOfLifeTests : IAsyncDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly RecordingLogger<ControlServer> _log = new();
    private readonly Deadlines _deadlines = new(Options.Create(new SocketHandoffOptions()), TimeProvider.System);
    private readonly ControlServer _server;

    public SignOfLifeTests() => _server = new(_deadlines, TimeProvider.System, _log);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EnsureGone_NobodyAnswers_IsGone() => await Asks(_server.Chain).EnsureGoneAsync(Cancel).OrHang();

    [Fact]
    public async Task EnsureGone_PredecessorOrAnHeirOfItAnswers_IsNot()
    {
        Answer();
        var error = await Assert.ThrowsAsync<HandoffException>(() => Asks(_server.Chain).EnsureGoneAsync(Cancel).OrHang());
        Assert.Contains("is alive", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EnsureGone_OneThatWasStartedAnewAnswers_IsGone()
    {
        Answer();
        await Asks(Guid.NewGuid()).EnsureGoneAsync(Cancel).OrHang();
        Assert.Contains("versions 0 to 0", (await _log.NextAsync(300)).Text, StringComparison.Ordinal); // it did answer
    }

    [Fact]
    public async Task EnsureGone_PredecessorHadNotSaidWhoItIs_WhoAnswersCountsAsAlive()
    {
        Answer();
        await Assert.ThrowsAsync<HandoffException>(() => Asks(null).EnsureGoneAsync(Cancel).OrHang());
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _directory.Dispose();
    }

    private void Answer() => _server.Start(ControlSocket.Bind(_directory["control/s"]), _ => Task.CompletedTask);

    private SignOfLife Asks(Guid? chain) => new(_deadlines) { Path = _directory["control/s"], Chain = chain };
}
