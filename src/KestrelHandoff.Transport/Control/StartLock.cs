using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Transport.Control;

/// <summary>
/// Held from the look for a predecessor until the control socket is bound: of two instances that start at once, the second finds the first
/// instead of nobody.
/// </summary>
internal static class StartLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Waits until no other instance looks. The lock ends with the stream, or with this process.</summary>
    /// <param name="path">Of the control socket; the lock is a file beside it, which stays: to delete it would let a third one in.</param>
    /// <param name="time">For the pauses.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="IOException">The directory is not private enough, or the file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file is another user's.</exception>
    public static async Task<IDisposable> TakeAsync(string path, TimeProvider time, CancellationToken cancellationToken)
    {
        ControlSocket.PrepareDirectory(path);
        while (true)
        {
            try
            {
                // FileShare.None is flock(LOCK_EX | LOCK_NB), SafeFileHandle.Unix.cs
                return new FileStream(path + ".lock", new FileStreamOptions
                {
                    Mode = FileMode.OpenOrCreate,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.None,
                    UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
                });
            }
            catch (IOException e) when (e.HResult == Libc.EAgain) // the errno as it is, Interop.IOErrors.cs
            {
                await Task.Delay(Pause, time, cancellationToken); // somebody has it
            }
        }
    }
}
