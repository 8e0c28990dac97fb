using KestrelHandoff.Transport.Interop;

namespace KestrelHandoff.Tests.Descriptors;

public sealed class FreeDescriptorsTests
{
    [Theory]
    [InlineData(1, true)]
    [InlineData(64, true)]
    [InlineData(int.MaxValue, false)]
    public void HasFree_MoreThanTheLimitAreNot(int count, bool expected) => Assert.Equal(expected, Libc.HasFreeDescriptors(count));
}
