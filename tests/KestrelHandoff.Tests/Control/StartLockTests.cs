using System.Net.Sockets;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

public sealed class StartLockTests : IDisposable
{
    private readonly TempDirectory _directory = new();
    private readonly ShiftingTime _time = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Take_SomebodyHasIt_WaitsUntilItIsFree()
    {
        var first = await StartLock.TakeAsync(_directory["c"], _time, Cancel).OrHang();
        var second = StartLock.TakeAsync(_directory["c"], _time, Cancel);
        Assert.False(second.IsCompleted);
        first.Dispose();
        await _time.PassAsync(TimeSpan.FromMilliseconds(20));
        (await second.OrHang()).Dispose();
    }

    [Fact]
    public async Task Take_FileCannotBeOpened_IsAnErrorAtOnce()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(_directory["c.lock"])); // ENXIO, open(2)
        await Assert.ThrowsAsync<IOException>(() => StartLock.TakeAsync(_directory["c"], _time, Cancel)).OrHang();
    }

    [Fact]
    public async Task Take_DirectoryOthersCanWriteTo_IsRefusedNamingIt()
    {
        var open = Directory.CreateDirectory(_directory["open"]);
        File.SetUnixFileMode(open.FullName, (UnixFileMode)0x1FF); // 0777
        var refused = await Assert.ThrowsAsync<IOException>(() => StartLock.TakeAsync(Path.Combine(open.FullName, "c"), _time, Cancel)).OrHang();
        Assert.Contains(open.FullName, refused.Message, StringComparison.Ordinal);
    }
}
