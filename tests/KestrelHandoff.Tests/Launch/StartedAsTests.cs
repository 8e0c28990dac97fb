using System.Text;
using KestrelHandoff.Transport.Launch;

namespace KestrelHandoff.Tests.Launch;

public sealed class StartedAsTests
{
    [Fact]
    public void Read_ThisProcess_IsItsOwnCommandLineDirectoryAndEnvironment()
    {
        var started = StartedAs.Read();
        Assert.Equal(Environment.GetCommandLineArgs().Skip(1), started.CommandLine.TakeLast(Environment.GetCommandLineArgs().Length - 1));
        Assert.True(Directory.Exists(started.Directory));
        Assert.Equal(Directory.GetFiles(Environment.CurrentDirectory).Order(), Directory.GetFiles(started.Directory).Select(InCurrent).Order());
        Assert.Equal(Environment.GetEnvironmentVariable("PATH"), started.Environment["PATH"]);

        string InCurrent(string path) => Path.Combine(Environment.CurrentDirectory, Path.GetFileName(path));
    }

    [Fact]
    public void ReadEnvironment_RecordThatMayNotBeRead_IsTheEnvironmentOfNow() =>
        Assert.Equal(Environment.GetEnvironmentVariable("PATH"), StartedAs.ReadEnvironment("/proc/self/no-such-record")["PATH"]);

    [Theory]
    [InlineData("app\0", new[] { "app" })]
    [InlineData("app\0--urls\0http://*:80\0", new[] { "app", "--urls", "http://*:80" })]
    [InlineData("app\0--name\0\0", new[] { "app", "--name", "" })] // app --name ''
    [InlineData("app\0\0\0x\0", new[] { "app", "", "", "x" })]
    [InlineData("app", new[] { "app" })] // a process that wrote over its title
    [InlineData("äpp\0ö\0", new[] { "äpp", "ö" })]
    public void Split_Record_IsEachStringEmptyOnesToo(string record, string[] strings) =>
        Assert.Equal(strings, StartedAs.Split(Encoding.UTF8.GetBytes(record)));
}
