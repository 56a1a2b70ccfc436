using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PreconditionedTests(DeviceKind kind) : PairReferenceTest(kind)
{
    [Test]
    public void FollowsItsFormula([Values(0.01, 0.5)] double damping) =>
        Follow(
            "preconditioned",
            new Dictionary<string, double> { ["damping"] = damping },
            (left, right, leftGradient, rightGradient) =>
            {
                Dense added = damping * Dense.Identity(right.Rows);
                Dense ofRight = right * right.Transposed + added;
                Dense ofLeft = left.Transposed * left + added;
                return (leftGradient * ofRight.Inverse(), ofLeft.Inverse() * rightGradient);
            }
        );
}
