using Spectral.Kernels.Driver;
using Spectral.Kernels.Tests.Support;

/// <summary>Closes the devices after the last fixture and asserts that no native object is left.</summary>
/// <remarks>In no namespace, so that NUnit runs it for the whole assembly; each test project compiles it.</remarks>
[SetUpFixture]
public sealed class LeakLedger
{
    [OneTimeTearDown]
    public void NothingIsLeft()
    {
        Devices.DisposeAll();
        Assert.That(LiveObjects.Snapshot(), Is.Empty, "native objects still alive at the end of the run");
    }
}
