using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

/// <summary>
/// The messages of protocol version 1, each with the file under <c>Golden/v1</c> that has its bytes on the wire. The files never change:
/// released instances send and read them. A new message is a new file and a line here.
/// </summary>
internal static class Messages
{
    private static readonly Guid Id = new("0123456789abcdef0123456789abcdef");

    private static readonly string[] Capabilities = ["connections", "probation", "standard-streams"];

    public static readonly (string File, ControlMessage Message)[] All =
    [
        ("hello", new Hello(1, 1, 42) { Capabilities = Capabilities, Token = "00FF", Build = "ab" }),
        ("hello-minimal", new Hello(1, 1, 42)),
        ("welcome", new Welcome(1, 42, 2, Id, true) { Capabilities = Capabilities, Chain = Id }),
        ("welcome-minimal", new Welcome(1, 42, 2, Id, false)),
        ("offer", new Offer([new("tcp:127.0.0.1:0", "127.0.0.1:5000", false), new("unix:/run/a.sock", "/run/a.sock", true)], false)),
        ("offer-minimal", new Offer([], true)),
        ("ready", new Ready(
        [
            new("tcp:127.0.0.1:0", "127.0.0.1:5000") { AdoptedFrom = "tcp:127.0.0.1:0", Scheme = "http" },
            new("unix:/run/a.sock", "/run/a.sock") { AdoptedFrom = "unix:/run/a.sock", Scheme = "https" },
        ])),
        ("ready-minimal", new Ready([new("fd:3", "[::]:80")])),
        ("probe", new Probe("fd:3")),
        ("commit", new Commit()),
        ("accepting", new Accepting()),
        ("check", new Check { WithinMs = 5000 }),
        ("check-minimal", new Check()),
        ("checked", new Checked(3) { Fault = "sick" }),
        ("checked-minimal", new Checked(3)),
        ("roll-back", new RollBack("sick") { WithinMs = 5000 }),
        ("roll-back-minimal", new RollBack("sick")),
        ("rolled-back", new RolledBack(2) { DrainMs = 600_000 }),
        ("rolled-back-minimal", new RolledBack(2)),
        ("confirm", new Confirm { ControlPath = "/run/c.sock" }),
        ("confirm-minimal", new Confirm()),
        ("confirmed", new Confirmed()),
        ("migrate", new Migrate(
        [
            new("tcp:127.0.0.1:0", "0A")
            {
                Remote = "127.0.0.1:4000",
                Received = "GET"u8.ToArray(),
                State = [0x00, 0xff],
                Replay = new("GET /"u8.ToArray(), "101"),
            },
            new("unix:/run/a.sock", "0B") { Remote = "@", Received = [], State = [], Replay = new([], "") },
        ])),
        ("migrate-minimal", new Migrate([new("unix:/run/a.sock", "0B")])),
        ("migrated", new Migrated(2)),
        ("draining", new Draining(
        [
            new(42, 1, new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero))
            {
                Connections = 3,
                ConnectionsMigrated = 240,
                ConnectionsDrained = 2,
                ConnectionsAborted = 1,
                RetiredAt = new(2026, 11, 27, 12, 0, 30, TimeSpan.Zero),
            },
        ])),
        ("draining-minimal", new Draining([new(42, 1, new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero))])),
        ("refuse", new Refuse("busy", "later") { Chain = Id }),
        ("refuse-minimal", new Refuse("busy", "later")),
        ("abort", new Abort("gone")),
    ];
}
