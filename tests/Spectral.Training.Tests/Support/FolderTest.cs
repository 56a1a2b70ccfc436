namespace Spectral.Training.Tests.Support;

/// <summary>Base of fixtures whose tests each work in a folder of their own.</summary>
public abstract class FolderTest
{
    private protected TemporaryFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => folder.Dispose();
}
