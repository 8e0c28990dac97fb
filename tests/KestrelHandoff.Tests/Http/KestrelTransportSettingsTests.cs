using KestrelHandoff.Http;
using Microsoft.Extensions.DependencyInjection;

namespace KestrelHandoff.Tests.Http;

public sealed class KestrelTransportSettingsTests
{
    private const string FinOnError = "Microsoft.AspNetCore.Server.Kestrel.FinOnError";

    [Fact]
    public void Create_FinOnErrorSwitch_IsHonoured()
    {
        using var services = new ServiceCollection().AddOptions().BuildServiceProvider();
        Assert.False(KestrelTransportSettings.Create(services).FinOnError);
        AppContext.SetSwitch(FinOnError, true);
        try
        {
            Assert.True(KestrelTransportSettings.Create(services).FinOnError);
        }
        finally
        {
            AppContext.SetSwitch(FinOnError, false);
        }
    }
}
