namespace KestrelHandoff.Transport.Control;

/// <summary>A successor that has introduced itself.</summary>
internal sealed record Greeting(ControlChannel Channel, Hello Hello);
