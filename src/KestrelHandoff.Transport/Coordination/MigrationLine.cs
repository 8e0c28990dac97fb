using System.Runtime.InteropServices;
using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Transport.Coordination;

/// <summary>The way to the instance that takes connections.</summary>
/// <param name="SendAsync">Sends them. If it fails, they are not sent: the other side acts on whole messages only, and no other can follow on the same line.</param>
/// <param name="AnswerAsync">What the other instance says to them. If nothing comes, nobody knows whose they are.</param>
internal sealed record MigrationLine(
    Func<Migrate, IReadOnlyList<SafeHandle>, CancellationToken, Task> SendAsync, Func<CancellationToken, Task<Migrated>> AnswerAsync);
