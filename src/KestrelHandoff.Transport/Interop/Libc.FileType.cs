using System.Runtime.InteropServices;

namespace KestrelHandoff.Transport.Interop;

// statx(2) and not fstat(2): its struct is the same on every architecture.
internal static unsafe partial class Libc
{
    private const int FileTypeMask = 0xF000, FileTypeDirectory = 0x4000, FileTypeRegular = 0x8000; // inode(7)
    private const int AtEmptyPath = 0x1000; // linux/fcntl.h
    private const uint StatxType = 1; // linux/stat.h

    private static int FileTypeOf(SafeHandle descriptor)
    {
        byte noPath = 0;
        FileStatus status;
        return Statx(descriptor, &noPath, AtEmptyPath, StatxType, &status) == 0 ? status.Mode & FileTypeMask : 0;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Statx(SafeHandle directory, byte* path, int flags, uint mask, FileStatus* status);

    // struct statx
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct FileStatus
    {
        [FieldOffset(28)]
        public ushort Mode;
    }
}
