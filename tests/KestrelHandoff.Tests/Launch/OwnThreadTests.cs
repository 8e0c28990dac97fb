using KestrelHandoff.Transport.Launch;

namespace KestrelHandoff.Tests.Launch;

public sealed class OwnThreadTests
{
    [Fact]
    public async Task RunAsync_Work_RunsApartUnderTheName()
    {
        var (isPool, isBackground, name) = await OwnThread.RunAsync(
            "test", () => (Thread.CurrentThread.IsThreadPoolThread, Thread.CurrentThread.IsBackground, Thread.CurrentThread.Name)).OrHang();
        Assert.Equal((false, true, "test"), (isPool, isBackground, name));
    }

    [Fact]
    public async Task RunAsync_WorkThrows_TheTaskFails()
    {
        var failure = new InvalidOperationException();
        Assert.Same(failure, await Assert.ThrowsAsync<InvalidOperationException>(() => OwnThread.RunAsync<int>("test", () => throw failure).OrHang()));
    }
}
