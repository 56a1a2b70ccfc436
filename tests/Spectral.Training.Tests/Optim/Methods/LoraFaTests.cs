using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LoraFaTests(DeviceKind kind) : PairReferenceTest(kind)
{
    [Test]
    public void FollowsItsFormulaAndLeavesRAlone() =>
        Follow(
            "lora-fa",
            null,
            (_, right, gradient, unused) =>
            {
                Dense gram = right * right.Transposed + 1e-8 * Dense.Identity(right.Rows);
                return (1 / (Scale * Scale) * (gradient * gram.Inverse()), unused);
            },
            rightTrains: false
        );
}
