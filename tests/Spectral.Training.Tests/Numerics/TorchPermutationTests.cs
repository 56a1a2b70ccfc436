using Spectral.Training.Numerics;

namespace Spectral.Training.Tests.Numerics;

/// <summary>The shuffle against PyTorch's published output.</summary>
public sealed class TorchPermutationTests
{
    [Test]
    public void ItIsPyTorchsPermutation()
    {
        int[] expected = [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]; // torch.manual_seed(0); torch.randperm(10)
        for (int length = 0; length <= 10; length++)
            Assert.That(TorchPermutation.First(length, 10, 0), Is.EqualTo(expected[..length]));
    }

    [Test]
    public void EveryNumberOccursOnce() =>
        Assert.That(TorchPermutation.First(1000, 1000, 777), Is.EquivalentTo(Enumerable.Range(0, 1000)));
}
