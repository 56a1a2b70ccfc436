using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>Tables of constants, which layers share, and values without a gradient.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ExpressionTableTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void LayersOfOneSizeShareATable()
    {
        using ExpressionRun first = new(Device, Skew());
        using ExpressionRun second = new(Device, Skew());
        _ = first.Output.Value;
        long used = Device.Memory.InUse;
        _ = second.Output.Value;
        Assert.That(Device.Memory.InUse - used, Is.LessThanOrEqualTo(1024), "the second value alone");

        static ExpressionCase Skew() => new("", [(2, 6)], x => x[0].SkewSymmetric(4), x => x[0]);
    }

    [Test]
    public void ADetachedValueFollowsItsFactorAndHasNoGradient()
    {
        using ExpressionRun run = new(
            Device,
            new(
                "",
                [5],
                x => x[0].Multiply(x[0].Detach(), Broadcast.PerElement),
                x => Array.ConvertAll(x[0], a => a * a)
            )
        );
        for (int pass = 0; pass < 2; pass++)
        {
            run.Step();
            VerifyGradient(
                run.Output.Value.ToArray(),
                Array.ConvertAll(run.Values[0], a => a * a),
                ExpressionTests.Tolerance,
                "value"
            );
            VerifyGradient(
                run.Gradients()[0],
                [.. run.Values[0].Zip(run.Direction, (a, g) => a * g)],
                ExpressionTests.Tolerance,
                "gradient"
            );
            run.Change();
        }
    }

    [Test]
    public void LayersShareAConstantTable()
    {
        int made = 0;
        using (
            ExpressionRun first = new(Device, Ones()),
                second = new(Device, Ones())
        )
        {
            _ = (first.Output.Value, second.Output.Value);
            Assert.That(made, Is.EqualTo(1));
        }
        using ExpressionRun third = new(Device, Ones());
        _ = third.Output.Value;
        Assert.That(made, Is.EqualTo(2), "the last one to go takes the table with it");

        ExpressionCase Ones() =>
            new(
                "",
                [4],
                x =>
                    x[0]
                        .Multiply(
                            ExpressionCase.FactorOf(x[0]).Table(4, "ones", () => [1, 1, 1, ++made / made]),
                            Broadcast.PerElement
                        ),
                x => x[0]
            );
    }
}
