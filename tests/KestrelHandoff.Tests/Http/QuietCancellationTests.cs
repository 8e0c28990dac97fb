using KestrelHandoff.Http;

namespace KestrelHandoff.Tests.Http;

public sealed class QuietCancellationTests : IDisposable
{
    private readonly CancellationTokenSource _source = new();

    [Fact]
    public async Task CancelQuietly_CallbackBlocks_TheTokenIsCancelledAllTheSame()
    {
        using var goOn = new ManualResetEventSlim();
        var begun = new TaskCompletionSource();
        _source.Token.Register(() =>
        {
            begun.SetResult();
            goOn.Wait();
        });
        _source.CancelQuietly();
        Assert.True(_source.IsCancellationRequested);
        await begun.Task.OrHang();
        goOn.Set();
    }

    [Fact]
    public async Task CancelQuietly_CallbackThrows_TheOthersRun()
    {
        var others = new TaskCompletionSource();
        _source.Token.Register(others.SetResult);
        _source.Token.Register(static () => throw new InvalidOperationException("the app's"));
        _source.CancelQuietly();
        await others.Task.OrHang();
    }

    [Fact]
    public void CancelQuietly_Disposed_IsNothing()
    {
        _source.Dispose();
        _source.CancelQuietly();
    }

    public void Dispose() => _source.Dispose();
}
