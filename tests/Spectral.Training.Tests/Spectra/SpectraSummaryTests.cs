using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>Matrices together: groups, means, counts; and the analysis of whole models.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SpectraSummaryTests(DeviceKind kind) : SpectraTest(kind)
{
    [Test]
    public void GroupsMeansAndCounts()
    {
        MatrixSpectra[] matrices =
        [
            .. from layer in Enumerable.Range(0, 3)
            from module in new[] { "q_proj", "up_proj" }
            select One(layer, module, layer + (module == "q_proj" ? 0.0 : 10)),
        ];
        var model = ModelSpectra.Of(matrices);
        Assert.That(
            model.Modules.Select(group => (group.Module, group.Layer, group.Matrices)),
            Is.EqualTo(new[] { ("q_proj", (int?)null, 3), ("up_proj", null, 3) })
        );
        Assert.That(
            model.Layers.Select(group => (group.Module, group.Layer, group.Matrices)),
            Is.EqualTo(new[] { ((string?)null, (int?)0, 2), (null, 1, 2), (null, 2, 2) })
        );
        SpectraSummary queries = model.Modules[0];
        // The matrix of layer i is scaled by 1 + (i + 1) / 10.
        Assert.That(
            (
                queries.RelativeChange.Mean,
                queries.RelativeChange.Least,
                queries.RelativeChange.Largest,
                queries.RelativeChange.StandardDeviation
            ),
            Is.EqualTo((0.2, 0.1, 0.3, 0.1))
                .Using<(double, double, double, double)>(
                    (a, b) =>
                        Math.Abs(a.Item1 - b.Item1)
                            + Math.Abs(a.Item2 - b.Item2)
                            + Math.Abs(a.Item3 - b.Item3)
                            + Math.Abs(a.Item4 - b.Item4)
                        < 1e-9
                            ? 0
                            : 1
                )
        );
        Assert.That(queries.Bins.Select(bin => bin.Relative), Is.All.EqualTo(0.2).Within(1e-9));
        Assert.That(queries.Profile.Where(double.IsFinite), Is.All.EqualTo(0.2).Within(1e-9));
        Assert.That(queries.DeviationSlope, Is.EqualTo(0).Within(1e-12), "the base is the same in all layers");
        Assert.That(
            queries.ChangeDeviationSlope,
            Is.EqualTo(0.1 * matrices[0].Entries.Base.StandardDeviation).Within(1e-9)
        );
        Assert.That(model.Layers[0].DeviationSlope, Is.NaN);
        Assert.That(model.Model.AmplifiesTop, Is.EqualTo(new VerdictCount(0, 0, 6)), "without draws nothing is judged");
        Assert.That(model.Model.Measurable, Is.EqualTo(6));
        Assert.That(VerdictCount.Of([true, false, null, true]), Is.EqualTo(new VerdictCount(2, 1, 1)));
    }

    [Test]
    public void IntrudersAddUp()
    {
        var random = new Random(5);
        Dense u = Orthonormal(random, 20, 7);
        Dense v = Orthonormal(random, 6, 6);
        Dense before = Compose(Dense.Of(20, 6, (i, j) => u[i, j]), Descending(6), v);
        MatrixSpectra intruded = Analyze(before, before + -1 * Outer(u, 5, v, 5) + 8 * Outer(u, 6, v, 5));
        MatrixSpectra scaled = Analyze(before, 1.1 * before);
        IntruderTotal total = SpectraSummary.Of([intruded, scaled, intruded]).Intruders[2];
        Assert.That(total, Is.EqualTo(new IntruderTotal(0.5, 2, 0, 2, 0)));
    }

    [Test]
    public void WholeModels()
    {
        ModelConfig config = TinyModels.Llama;
        using var other = new TemporaryFolder();
        using (var model = CausalLanguageModel.Initialize(config, Device, DType.F32, 1))
            model.Save(Folder.Path, null);
        using (var model = CausalLanguageModel.Initialize(config, Device, DType.F32, 2))
            model.Save(other.Path, null);
        using var before = ModelFolder.Open(Folder.Path);
        using var after = ModelFolder.Open(other.Path);
        using var analysis = new SpectraAnalysis(before, after, null, ["q_proj", "down_proj"], NoDraws);
        var done = new List<(int, string)>();
        ModelSpectra spectra = analysis.Run(Device, done: (count, name) => done.Add((count, name)));
        Assert.That(
            spectra.Matrices.Select(matrix => (matrix.Layer, matrix.Module)),
            Is.EqualTo(new[] { (0, "q_proj"), (0, "down_proj"), (1, "q_proj"), (1, "down_proj") })
        );
        Assert.That(done.Select(entry => entry.Item1), Is.EqualTo(new[] { 1, 2, 3, 4 }));
        foreach (MatrixSpectra matrix in spectra.Matrices)
        {
            float[] zero = before[matrix.Name].ToFloats();
            float[] one = after[matrix.Name].ToFloats();
            Assert.That(
                matrix.Norms.Change,
                Is.EqualTo(Math.Sqrt(zero.Zip(one, (x, y) => ((double)x - y) * ((double)x - y)).Sum())).Within(1e-12)
            );
        }
        Assert.That(
            () => new SpectraAnalysis(before, after, null, ["nothing"], NoDraws),
            Throws.InstanceOf<InputException>().With.Message.Contains("matches no layer")
        );
        Assert.That(
            () => new SpectraAnalysis(before, after, null, ["q_proj"], NoDraws with { Draws = 1 }),
            Throws.InstanceOf<InputException>().With.Message.Contains("draws is 1")
        );
        using var stopped = new CancellationTokenSource();
        stopped.Cancel();
        Assert.That(
            () => analysis.Run(Device, cancellation: stopped.Token),
            Throws.InstanceOf<OperationCanceledException>()
        );
    }

    private MatrixSpectra One(int layer, string module, double seed)
    {
        var random = new Random((int)seed / 10);
        var weight = Dense.Of(9, 8, (_, _) => random.NextNormal());
        return Analyze(weight, (1 + (layer + 1) / 10.0) * weight) with { Layer = layer, Module = module };
    }
}
