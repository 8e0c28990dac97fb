namespace KestrelHandoff.Transport;

/// <summary>Who is at the other end of a Unix socket, as the kernel noted it when the two connected (SO_PEERCRED, unix(7)).</summary>
/// <param name="ProcessId">The process that connected or listened; 0 when it is in a pid namespace this process cannot see.</param>
/// <param name="UserId">Its effective user id; 65534 when that user does not exist in this user namespace.</param>
/// <param name="GroupId">Its effective group id, with the same exception.</param>
public readonly record struct PeerCredentials(int ProcessId, uint UserId, uint GroupId);
