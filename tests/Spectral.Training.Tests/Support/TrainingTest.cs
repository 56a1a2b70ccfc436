using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// Base of fixtures that run on every device, in a folder of their own, and must leave no tensor behind.
/// </summary>
public abstract class TrainingTest(DeviceKind kind)
{
    private readonly List<IDisposable> _kept = [];
    private long _before;

    private protected TemporaryFolder Folder { get; private set; } = null!;

    protected Device Device { get; private set; } = null!;

    [SetUp]
    public void Open()
    {
        Device = Devices.Get(kind);
        Folder = new TemporaryFolder();
        _before = Device.Memory.InUse;
    }

    [TearDown]
    public void Close()
    {
        for (int i = _kept.Count - 1; i >= 0; i--)
            _kept[i].Dispose();
        _kept.Clear();
        Folder?.Dispose();
        if (Device is not null)
            Assert.That(Device.Memory.InUse, Is.EqualTo(_before), "device memory still in use after the test");
    }

    /// <summary>Disposes a value after the test.</summary>
    private protected T Keep<T>(T value)
        where T : IDisposable
    {
        _kept.Add(value);
        return value;
    }

    /// <summary>
    /// Compares a gradient in F32 with one from double differences: NaN first, then each element within
    /// <paramref name="tolerance"/> of the largest element, which is what cancellation in sums over tokens costs.
    /// </summary>
    protected static void VerifyGradient(float[] actual, double[] expected, double tolerance, string what) =>
        VerifyGradient(actual, expected, tolerance, expected.Max(Math.Abs), what);

    /// <summary>
    /// Compares a gradient in F32 with the sums of the losses' shares: each element within
    /// <paramref name="tolerance"/> of the largest sum of magnitudes. The largest element is no scale where a gradient
    /// has few of them: one of two may be what is left of shares eighty times its size.
    /// </summary>
    protected static void VerifyGradient(float[] actual, double[][] shares, double tolerance, string what) =>
        VerifyGradient(
            actual,
            Array.ConvertAll(shares, of => of.Sum()),
            tolerance,
            shares.Max(of => of.Sum(Math.Abs)),
            what
        );

    private static void VerifyGradient(float[] actual, double[] expected, double tolerance, double scale, string what)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), what);
        for (int i = 0; i < actual.Length; i++)
        {
            double error = Math.Abs(actual[i] - expected[i]);
            if (!(error <= tolerance * scale + 1e-7))
                Assert.Fail($"{what}[{i}] is {actual[i]}, expected {expected[i]} (scale {scale})");
        }
    }
}
