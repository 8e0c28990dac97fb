using Microsoft.AspNetCore.Http;

namespace KestrelHandoff.Http;

/// <summary>Metadata of an endpoint whose connections may be cut between two messages.</summary>
internal sealed class MigratesOnHandoff
{
    public static readonly MigratesOnHandoff Instance = new();

    public static bool IsOn(HttpContext context) => context.GetEndpoint()?.Metadata.GetMetadata<MigratesOnHandoff>() is not null;
}
