using KestrelHandoff;

namespace HandoffDemo;

/// <summary>Which generation this instance is, and the headers that say so on every response.</summary>
internal sealed class Generation(IServiceProvider services, IConfiguration configuration)
{
    private readonly ISocketHandoff? _handoff = services.GetService<ISocketHandoff>();
    private readonly int _stock = configuration.GetValue("generation", 1);

    /// <summary>1 for the first instance, one more after each handoff. With <c>--stock</c> it is what <c>--generation</c> says.</summary>
    public int Number => _handoff?.Generation ?? _stock;

    /// <summary>Completes when this instance serves.</summary>
    public Task Activated => _handoff?.Activated ?? Task.CompletedTask;

    public Task StampAsync(HttpContext context, RequestDelegate next)
    {
        context.Response.Headers["X-Generation"] = Number.ToString();
        if (context.Request.Headers.TryGetValue("X-Request-Id", out var id))
        {
            context.Response.Headers["X-Request-Id"] = id;
        }

        return next(context);
    }
}
