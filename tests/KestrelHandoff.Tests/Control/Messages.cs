using KestrelHandoff.Transport.Control;

namespace KestrelHandoff.Tests.Control;

/// <summary>One of each message of protocol version 1, with the bytes it has on the wire. These never change: a released instance reads them.</summary>
internal static class Messages
{
    private static readonly Guid Id = new("0123456789abcdef0123456789abcdef");

    public static readonly (ControlMessage Message, string Json)[] All =
    [
        (new Hello(1, 1, 42), """{"type":"hello","version":1,"minVersion":1,"processId":42,"capabilities":[]}"""),
        (new Hello(1, 1, 42) { Capabilities = ["standard-streams"], Token = "00FF" },
            """{"type":"hello","version":1,"minVersion":1,"processId":42,"capabilities":["standard-streams"],"token":"00FF"}"""),
        (new Welcome(1, 42, 2, Id, false),
            """{"type":"welcome","version":1,"processId":42,"generation":2,"handoffId":"01234567-89ab-cdef-0123-456789abcdef","standardStreams":false,"capabilities":[]}"""),
        (new Welcome(1, 42, 2, Id, true) { Capabilities = ["standard-streams"] },
            """{"type":"welcome","version":1,"processId":42,"generation":2,"handoffId":"01234567-89ab-cdef-0123-456789abcdef","standardStreams":true,"capabilities":["standard-streams"]}"""),
        (new Offer([], true), """{"type":"offer","listeners":[],"last":true}"""),
        (new Offer([new("tcp:127.0.0.1:0", "127.0.0.1:5000", false), new("unix:/run/a.sock", "/run/a.sock", true)], false),
            """{"type":"offer","listeners":[{"name":"tcp:127.0.0.1:0","address":"127.0.0.1:5000","ownsPath":false},{"name":"unix:/run/a.sock","address":"/run/a.sock","ownsPath":true}],"last":false}"""),
        (new Ready([new("tcp:127.0.0.1:0", "127.0.0.1:5000") { AdoptedFrom = "tcp:127.0.0.1:0", Scheme = "http" }, new("fd:3", "[::]:80")]),
            """{"type":"ready","listeners":[{"name":"tcp:127.0.0.1:0","address":"127.0.0.1:5000","adoptedFrom":"tcp:127.0.0.1:0","scheme":"http"},{"name":"fd:3","address":"[::]:80"}]}"""),
        (new Probe("fd:3"), """{"type":"probe","listener":"fd:3"}"""),
        (new Commit(), """{"type":"commit"}"""),
        (new Accepting(), """{"type":"accepting"}"""),
        (new Check(), """{"type":"check"}"""),
        (new Checked(3), """{"type":"checked","connections":3}"""),
        (new Checked(3) { Fault = "sick" }, """{"type":"checked","connections":3,"fault":"sick"}"""),
        (new RollBack("sick"), """{"type":"roll-back","detail":"sick"}"""),
        (new RolledBack(2), """{"type":"rolled-back","connections":2}"""),
        (new Confirm(), """{"type":"confirm"}"""),
        (new Confirm { ControlPath = "/run/c.sock" }, """{"type":"confirm","controlPath":"/run/c.sock"}"""),
        (new Confirmed(), """{"type":"confirmed"}"""),
        (new Migrate([new("tcp:127.0.0.1:0", "0A") { Remote = "127.0.0.1:4000", Received = "GET"u8.ToArray() }, new("unix:/run/a.sock", "0B")]),
            """{"type":"migrate","connections":[{"listener":"tcp:127.0.0.1:0","id":"0A","remote":"127.0.0.1:4000","received":"R0VU"},{"listener":"unix:/run/a.sock","id":"0B"}]}"""),
        (new Migrated(2), """{"type":"migrated","count":2}"""),
        (new Refuse("busy", "later"), """{"type":"refuse","reason":"busy","detail":"later"}"""),
        (new Abort("gone"), """{"type":"abort","detail":"gone"}"""),
    ];
}
