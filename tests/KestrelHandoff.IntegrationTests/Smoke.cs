namespace KestrelHandoff.Tests;

public sealed class Smoke
{
    [Fact]
    public async Task OrHang_CompletedTask_ReturnsItsResult() => Assert.Equal(1, await Task.FromResult(1).OrHang());
}
