using System.Net.Sockets;
using System.Reflection;
using KestrelHandoff.Transport.Connections;

namespace KestrelHandoff.Tests.Connections;

public sealed class QuietAwaitTests
{
    private static readonly FieldInfo? Source = typeof(ValueTask<int>).GetField("_obj", BindingFlags.Instance | BindingFlags.NonPublic);

    [Fact]
    public async Task Abandon_ReceiveThatItsSocketAborted_LeavesNothingToTheFinalizer()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var receive = pair.Client.ReceiveAsync(new byte[1].AsMemory(), SocketFlags.None, TestContext.Current.CancellationToken);
        var operation = Assert.IsAssignableFrom<SocketAsyncEventArgs>(Source?.GetValue(receive));
        pair.Client.Dispose();
        (await new QuietAwait(receive)).Abandon();
        Assert.Throws<ObjectDisposedException>(() => operation.SetBuffer(0, 0));
    }

    [Fact]
    public async Task Abandon_EndedAtOnce_NothingIsThrown()
    {
        (await new QuietAwait(new ValueTask<int>(1))).Abandon();
        (await new QuietAwait(ValueTask.FromException<int>(new SocketException()))).Abandon();
    }

    [Fact]
    public async Task Take_ReceiveThatItsSocketAborted_Throws()
    {
        await using var pair = await ConnectionPair.CreateAsync();
        var receive = pair.Client.ReceiveAsync(new byte[1].AsMemory(), SocketFlags.None, TestContext.Current.CancellationToken);
        pair.Client.Dispose();
        var outcome = await new QuietAwait(receive);
        Assert.Throws<SocketException>(() => outcome.Take());
    }
}
