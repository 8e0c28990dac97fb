using System.Net.Sockets;
using System.Reflection;
using System.Runtime.CompilerServices;
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
    public async Task Abandon_EndedAtOnce_NothingHappens() => (await new QuietAwait(new ValueTask<int>(1))).Abandon();

    [Fact]
    public void Abandon_FailedAtOnce_TheAppIsNotTold()
    {
        var failure = new SocketException();
        var told = false;
        TaskScheduler.UnobservedTaskException += OnUnobserved;
        try
        {
            Fail();
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= OnUnobserved;
        }

        Assert.False(told);

        void OnUnobserved(object? sender, UnobservedTaskExceptionEventArgs e) => told |= e.Exception.InnerExceptions.Contains(failure);

        [MethodImpl(MethodImplOptions.NoInlining)] // nothing of it is on the stack when garbage is collected
        void Fail() => new QuietAwait(ValueTask.FromException<int>(failure)).GetResult().Abandon();
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
