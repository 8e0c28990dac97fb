using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using KestrelHandoff.Tests.Descriptors;
using KestrelHandoff.Tests.Support;
using KestrelHandoff.Transport;
using KestrelHandoff.Transport.Control;
using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Tests.Control;

public sealed class ControlSocketTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly TempDirectory _directory = new();

    private string SocketPath => _directory["control.sock"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bind_NewPath_MakesAPrivateSocketInAPrivateDirectory()
    {
        var path = _directory["run/app/control.sock"];
        using var socket = ControlSocket.Bind(path);
        Assert.Equal(path, socket.Path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(Path.GetDirectoryName(path)!));
        Assert.Equal([path], Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(path)!));
        await AssertReachableAsync(socket);
    }

    [Fact]
    public async Task Bind_OverAStaleSocketFile_TakesItsPlace()
    {
        using (var stale = ControlSocket.Bind(SocketPath))
        {
            stale.Listener.OwnedPath = null; // as if it had been killed
        }

        await Assert.ThrowsAsync<SocketException>(() => ControlSocket.ConnectAsync(SocketPath, Cancel)).OrHang();
        using var socket = ControlSocket.Bind(SocketPath);
        await AssertReachableAsync(socket);
    }

    [Fact]
    public void Bind_OverAFileThatIsNoSocket_IsRefusedAndTheFileStays()
    {
        File.WriteAllText(SocketPath, "an app's own");

        var refused = Assert.Throws<IOException>(() => ControlSocket.Bind(SocketPath));

        Assert.Contains($"'{SocketPath}' is to be the control socket, but there is a file of another kind", refused.Message, StringComparison.Ordinal);
        Assert.Equal("an app's own", File.ReadAllText(SocketPath));
    }

    [Fact]
    public void Bind_DirectoryIsALink_IsRefused()
    {
        Directory.CreateSymbolicLink(_directory["link"], Directory.CreateDirectory(_directory["real"], OwnerOnly).FullName);

        var refused = Assert.Throws<IOException>(() => ControlSocket.Bind(_directory["link/control.sock"]));

        Assert.Contains("is a symbolic link", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupWrite, "720")]
    [InlineData(UnixFileMode.OtherWrite, "702")]
    [InlineData(UnixFileMode.OtherWrite | UnixFileMode.GroupWrite | UnixFileMode.StickyBit, "1722")]
    public void Bind_DirectoryWritableByOthers_IsRefusedWithPathAndMode(UnixFileMode others, string mode)
    {
        using var open = new TempDirectory(OwnerOnly | others);
        var refused = Assert.Throws<IOException>(() => ControlSocket.Bind(open["control.sock"]));
        Assert.Contains($"'{open.Path}'", refused.Message, StringComparison.Ordinal);
        Assert.Contains($"mode {mode}", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(open.Path));
    }

    [Fact]
    public void Bind_DirectoryReadableByOthers_IsFine()
    {
        using var readable = new TempDirectory(OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        ControlSocket.Bind(readable["control.sock"]).Dispose();
    }

    [Fact]
    public async Task Bind_DirectoryOfAnotherUser_IsRefusedWithPathAndUsers()
    {
        Assert.SkipUnless(Libc.EffectiveUser() == 0, "Only root can give a directory to another user.");
        using (var chown = Process.Start("chown", ["65534", _directory.Path]))
        {
            await chown.WaitForExitAsync(Cancel).OrHang();
        }

        var refused = Assert.Throws<IOException>(() => ControlSocket.Bind(SocketPath));
        Assert.Contains($"'{_directory.Path}'", refused.Message, StringComparison.Ordinal);
        Assert.Contains("belongs to uid 65534, but this process runs as uid 0", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(107, true)]
    [InlineData(108, false)]
    [InlineData(150, false)]
    public async Task Bind_PathLength_IsTheKernelsLimit(int bytes, bool isBound)
    {
        var path = _directory[new string('s', bytes - _directory.Path.Length - 1)];
        if (isBound)
        {
            using var socket = ControlSocket.Bind(path);
            await AssertReachableAsync(socket);
            return;
        }

        var refused = Assert.Throws<IOException>(() => ControlSocket.Bind(path));
        Assert.Contains($"'{path}'", refused.Message, StringComparison.Ordinal);
        Assert.Contains($"{bytes} bytes", refused.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory.Path));
    }

    [Fact]
    public void Bind_DirectoryTooLongForAnyName_IsRefusedWithThePath()
    {
        var path = Path.Combine(_directory[new string('d', 104 - _directory.Path.Length)], "s"); // 107 bytes in all
        Assert.Contains($"'{path}'", Assert.Throws<IOException>(() => ControlSocket.Bind(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Dispose_OwnerOfThePath_UnlinksIt()
    {
        ControlSocket.Bind(SocketPath).Dispose();
        Assert.False(File.Exists(SocketPath));
    }

    [Fact]
    public async Task Adopt_AndRelease_MoveThePathToItsLastOwner()
    {
        var predecessor = ControlSocket.Bind(SocketPath);
        var waiting = await ControlSocket.ConnectAsync(SocketPath, Cancel).OrHang(); // in the backlog, which moves along
        var successor = await AdoptAsync(predecessor);

        predecessor.Release();
        Assert.True(File.Exists(SocketPath));
        using (var accepted = await successor.AcceptAsync(Cancel).OrHang())
        {
            await waiting.SendAsync(new Commit(), Cancel).OrHang();
            Assert.IsType<Commit>((await accepted.ReceiveAsync(Cancel).OrHang())!.Message);
        }

        await AssertReachableAsync(successor);
        successor.Dispose();
        Assert.False(File.Exists(SocketPath));
        waiting.Dispose();
    }

    [Fact]
    public void Adopt_SocketOfAnotherFamily_IsRefused()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var refused = Assert.Throws<InvalidDataException>(() => ControlSocket.Adopt(SocketPath, new SafeSocketHandle(Libc.Duplicate(listener.SafeHandle), ownsHandle: true)));
        Assert.Contains("not a Unix socket", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Adopt_SocketThatDoesNotListen_IsRefusedAndClosed()
    {
        using var pair = new SocketPair();
        await pair.Near.SendDescriptorsAsync(new byte[1], [pair.Near.SafeHandle], Cancel).OrHang();
        using var received = await pair.Far.ReceiveDescriptorsAsync(new byte[1], cancellationToken: Cancel).OrHang();
        var handle = received[0].TakeSocketHandle();
        Assert.Throws<InvalidDataException>(() => ControlSocket.Adopt(SocketPath, handle));
        Assert.True(handle.IsClosed);
    }

    [Fact]
    public async Task Dispose_DirectoryIsGone_ClosesTheListenerAllTheSame()
    {
        var socket = ControlSocket.Bind(_directory["gone/control.sock"]);
        var channel = await ControlSocket.ConnectAsync(socket.Path, Cancel).OrHang();
        Directory.Delete(_directory["gone"], recursive: true);
        socket.Dispose();
        Assert.True(socket.Listener.IsClosed);
        Assert.Null(await channel.ReceiveAsync(Cancel).OrHang()); // closed by the kernel with the listener
    }

    public void Dispose() => _directory.Dispose();

    private static async Task<ControlSocket> AdoptAsync(ControlSocket socket)
    {
        using var pair = new SocketPair();
        await pair.Near.SendDescriptorsAsync(new byte[1], [socket.Listener], Cancel).OrHang();
        using var received = await pair.Far.ReceiveDescriptorsAsync(new byte[1], cancellationToken: Cancel).OrHang();
        return ControlSocket.Adopt(socket.Path, received[0].TakeSocketHandle());
    }

    private static async Task AssertReachableAsync(ControlSocket socket)
    {
        using var client = await ControlSocket.ConnectAsync(socket.Path, Cancel).OrHang();
        using var server = await socket.AcceptAsync(Cancel).OrHang();
        await client.SendAsync(new Commit(), Cancel).OrHang();
        Assert.IsType<Commit>((await server.ReceiveAsync(Cancel).OrHang())!.Message);
    }
}
