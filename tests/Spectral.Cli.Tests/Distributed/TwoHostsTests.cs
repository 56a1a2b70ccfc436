using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>
/// Tests that ranks on two hosts, here network namespaces, train to the bits of as many ranks on one, and that what
/// they send goes over the cable.
/// </summary>
public sealed class TwoHostsTests : RankTest
{
    [TestCase]
    [TestCase("--shard")]
    [TestCase("--shard", "--quantize", "nf4")]
    public void RanksOfTwoHostsGiveTheBitsOfOne(params string[] options)
    {
        string link = Directory.CreateDirectory(At("link")).FullName;
        if (CommandLine.RunOnTwoHosts(link, Train("two", options)) is not { } outcome)
        {
            Assert.Ignore("network namespaces are not allowed here (unshare --net --mount, ip netns, veth)");
            return;
        }

        outcome.Succeeded();
        CommandLine.RunRanks(2, Train("one", options)).Succeeded();
        AssertSameRun(At("two"), At("one"));
        double sent = double.Parse(File.ReadAllText(Path.Combine(link, "sent")));
        Assert.That(sent, Is.GreaterThan(Logged(At("two"), "bytes_sent").Sum()));
    }
}
