using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class EqualDistancesTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void ProgressionsAreFound()
    {
        long[][] places =
        [
            [0],
            [1],
            [10],
            [11],
            [20],
            [21],
            [33],
        ];
        Assert.That(EqualDistances.Runs(places), Is.EqualTo(new int[][] { [0, 2, 4], [1, 3, 5], [6] }));
    }

    [Test]
    public void EveryCoordinateHasADistanceOfItsOwn()
    {
        long[][] places =
        [
            [0, 7],
            [10, 12],
            [20, 17],
            [30, 21],
        ];
        Assert.That(EqualDistances.Runs(places), Is.EqualTo(new int[][] { [0, 1, 2], [3] }));
        Assert.That(
            EqualDistances.Runs([
                [0, 9],
                [1, 4],
            ]),
            Has.Count.EqualTo(2),
            "a distance is not negative"
        );
        Assert.That(EqualDistances.Runs([]), Is.Empty);
    }

    /// <summary>
    /// The factors of three layers, and a vector between them: 64 elements are the least that a parameter takes.
    /// </summary>
    [Test]
    public void FactorsOfAllLayersAreOneBatch()
    {
        using ParameterSet parameters = new(
            Device,
            [
                .. Enumerable
                    .Range(0, 3)
                    .SelectMany(layer =>
                        new (string, Shape)[]
                        {
                            ($"{layer}.left", (9, 8)),
                            ($"{layer}.vector", 5),
                            ($"{layer}.right", (8, 9)),
                        }
                    ),
                ("odd", (9, 8)),
            ],
            rates: [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]
        );
        parameters.EnableGradients();
        IReadOnlyList<ParameterBatch> batches = ParameterBatch.Of(parameters, [0, 2, 3, 5, 6, 8, 9]);
        Assert.That(batches.Select(batch => batch.Indices), Is.EqualTo(new int[][] { [0, 3, 6], [2, 5, 8], [9] }));
        Assert.That(batches.Select(batch => batch.Rate), Is.EqualTo(new float[] { 1, 1, 2 }));
        MatrixBatch right = batches[1].Gradients;
        Assert.That(right with { Tensor = parameters.Masters[0] }, Is.EqualTo(batches[1].Masters));
        for (int i = 0; i < 3; i++)
        {
            parameters.Parameters[2 + 3 * i].Gradient!.CopyFrom([.. Enumerable.Repeat(1f + i, 72)]);
            using Tensor part = right.Tensor.Rows((int)(right.Offset + i * right.Stride), right.Rows * right.Columns);
            Assert.That(part.ToArray(), Is.All.EqualTo(1f + i));
        }
    }
}
