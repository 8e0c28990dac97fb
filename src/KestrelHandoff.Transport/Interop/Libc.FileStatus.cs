using System.Runtime.InteropServices;
using System.Text;

namespace KestrelHandoff.Transport.Interop;

// statx(2) and not fstat(2): its struct is the same on every architecture.
internal static unsafe partial class Libc
{
    private const int FileTypeMask = 0xF000, FileTypeDirectory = 0x4000, FileTypeRegular = 0x8000, FileTypeLink = 0xA000, FileTypeSocket = 0xC000; // inode(7)
    private const int AtWorkingDirectory = -100, AtEmptyPath = 0x1000, AtNoFollow = 0x100; // linux/fcntl.h
    private const uint StatxType = 1, StatxMode = 2, StatxUser = 8, StatxInode = 0x100, StatxBirth = 0x800; // linux/stat.h

    /// <summary>Who owns a file, and who may do what with it. Of a symbolic link, the link itself.</summary>
    public static (uint Owner, UnixFileMode Mode, bool IsSocket, bool IsLink) Status(string path)
    {
        FileStatus status;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            if (Statx(AtWorkingDirectory, name, AtNoFollow, StatxType | StatxMode | StatxUser, &status) < 0)
            {
                throw LastError($"statx({path})");
            }
        }

        var type = status.Mode & FileTypeMask;
        return (status.User, (UnixFileMode)(status.Mode & ~FileTypeMask), type == FileTypeSocket, type == FileTypeLink);
    }

    /// <summary>Which file is there now; null if none can be seen.</summary>
    public static FileIdentity? IdentityOf(string path)
    {
        FileStatus status;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return Statx(AtWorkingDirectory, name, AtNoFollow, StatxInode | StatxBirth, &status) < 0
                ? null
                : new FileIdentity(status.DeviceMajor, status.DeviceMinor, status.Inode, status.BirthSeconds, status.BirthNanoseconds);
        }
    }

    private static int FileTypeOf(SafeHandle descriptor)
    {
        byte noPath = 0;
        FileStatus status;
        return Statx(descriptor, &noPath, AtEmptyPath, StatxType, &status) == 0 ? status.Mode & FileTypeMask : 0;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Statx(SafeHandle directory, byte* path, int flags, uint mask, FileStatus* status);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Statx(int directory, byte* path, int flags, uint mask, FileStatus* status);

    // struct statx
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct FileStatus
    {
        [FieldOffset(20)]
        public uint User;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(80)]
        public long BirthSeconds; // 0 where the file system does not keep it

        [FieldOffset(88)]
        public uint BirthNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
