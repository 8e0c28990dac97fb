namespace KestrelHandoff.Transport.Interop;

/// <summary>Tells a file from another that has taken its name: also by when it was made, for the number of an inode that is free is used again.</summary>
internal readonly record struct FileIdentity(uint DeviceMajor, uint DeviceMinor, ulong Inode, long BirthSeconds, uint BirthNanoseconds);
