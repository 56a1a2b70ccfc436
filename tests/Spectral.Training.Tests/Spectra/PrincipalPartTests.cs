using Spectral.Kernels;
using Spectral.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>
/// Tests the checkpoint with the principal part of an update, and what planted noise does to a spectrum.
/// </summary>
public sealed class PrincipalPartTests : FolderTest
{
    private const string Weight = "model.layers.0.mlp.up_proj.weight";
    private const int Rows = 12;
    private const int Columns = 8;

    private TemporaryFolder _tuned = null!;
    private TemporaryFolder _written = null!;

    [SetUp]
    public void MakeFolders() => (_tuned, _written) = (new TemporaryFolder(), new TemporaryFolder());

    [TearDown]
    public void RemoveFolders()
    {
        _tuned.Dispose();
        _written.Dispose();
    }

    [TestCase(1, null)]
    [TestCase(3, null)]
    [TestCase(8, null)]
    [TestCase(null, 0.8)]
    [TestCase(null, 1.0)]
    public void TheUpdateIsCutToItsLeadingTriplets(int? rank, double? energy)
    {
        TinyModel.Write(folder);
        Dense before = Read(folder.Path);
        WriteTuned(before + Gaussian(new Random(1), 0.3));
        Dense update = Read(_tuned.Path) - before;
        (Dense u, double[] values, Dense v) = JacobiSvd.Of(update);
        double whole = values.Sum(value => value * value);
        int kept = rank ?? Enumerable.Range(1, Columns).First(k => Energy(k) >= energy * whole * (1 - 1e-9));

        PrincipalMatrix matrix = Cut(new PrincipalOptions { Rank = rank, Energy = energy ?? 0.9 }).Single();
        Assert.That((matrix.Name, matrix.Rank), Is.EqualTo((Weight, kept)));
        Assert.That(matrix.Energy, Is.EqualTo(Energy(kept) / whole).Within(1e-9));
        Assert.That(matrix.Removed, Is.EqualTo(Math.Sqrt(Math.Max(0, whole - Energy(kept)))).Within(1e-6));
        Dense found = Read(_written.Path);
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                double principal = Enumerable.Range(0, kept).Sum(k => values[k] * u[i, k] * v[j, k]);
                Assert.That(found[i, j], Is.EqualTo(before[i, j] + principal).Within(1e-6));
            }
        }

        double Energy(int k) => values.Take(k).Sum(value => value * value);
    }

    [Test]
    public void PlantedNoiseRaisesLowValuesAndIsMostlyRemoved()
    {
        // A clean update of rank 2, and the same with the noise that wrong labels leave.
        TinyModel.Write(folder);
        Dense before = Read(folder.Path);
        Dense clean = Rank(2, new Random(2));
        Dense noisy = clean + Gaussian(new Random(3), 0.02);
        double[] values = JacobiSvd.Of(noisy).Values;
        double[] cleanValues = JacobiSvd.Of(clean).Values;
        Assert.That(values[..2], Is.EqualTo(cleanValues[..2]).Within(5).Percent, "the top hardly moves");
        Assert.That(values[2..], Is.All.GreaterThan(0.005), "what was zero is not");

        WriteTuned(before + noisy);
        Cut(new PrincipalOptions { Rank = 2 });
        double errorBefore = Norm(noisy - clean);
        double errorAfter = Norm(Read(_written.Path) - before - clean);
        Assert.That(errorAfter, Is.LessThan(0.75 * errorBefore));
    }

    [Test]
    public void RefusesAPartThatWasNotComputed()
    {
        TinyModel.Write(folder);
        WriteTuned(Read(folder.Path) + Gaussian(new Random(4), 0.3));
        var few = new SpectraOptions
        {
            Draws = 0,
            Svd = Kernels.Linalg.SvdMethod.Randomized,
            RandomizedRank = 2,
        };
        Assert.That(
            () => Cut(new PrincipalOptions { Energy = 0.99 }, few),
            Throws.TypeOf<InputException>().With.Message.Contains(Weight).And.Message.Contains("2 triplets")
        );
        Assert.That(
            () => Cut(new PrincipalOptions { Rank = 3 }, few),
            Throws.TypeOf<InputException>().With.Message.Contains("exact SVD")
        );
        Assert.That(Cut(new PrincipalOptions { Rank = 2 }, few).Single().Rank, Is.EqualTo(2));
    }

    private IReadOnlyList<PrincipalMatrix> Cut(PrincipalOptions principal, SpectraOptions? options = null)
    {
        using var before = ModelFolder.Open(folder.Path);
        using var after = ModelFolder.Open(_tuned.Path);
        using var device = Device.Cpu();
        using var analysis = new SpectraAnalysis(
            before,
            after,
            null,
            ["up_proj"],
            options ?? new SpectraOptions { Draws = 0 },
            principal: principal
        );
        analysis.Run(device);
        return analysis.WritePrincipal(_written.Path, device);
    }

    private static Dense Gaussian(Random random, double deviation) =>
        Dense.Of(Rows, Columns, (_, _) => deviation * random.NextNormal());

    private static Dense Rank(int rank, Random random)
    {
        var left = Dense.Of(Rows, rank, (_, _) => random.NextNormal());
        var right = Dense.Of(rank, Columns, (_, _) => 0.3 * random.NextNormal());
        return left * right;
    }

    private static double Norm(Dense matrix) => Math.Sqrt(matrix.Values.Sum(value => value * value));

    private static Dense Read(string directory)
    {
        using var model = ModelFolder.Open(directory);
        return Dense.Of(Rows, Columns, [.. model[Weight].ToFloats().Select(value => (double)value)]);
    }

    private void WriteTuned(Dense weight)
    {
        TinyModel.WriteConfig(_tuned);
        using var model = ModelFolder.Open(folder.Path);
        SafetensorsWriter.Write(
            _tuned.File("model.safetensors"),
            [
                .. model.TensorNames.Select(name =>
                    TensorToWrite.Floats(
                        name,
                        StoredType.F32,
                        model[name].Shape,
                        () => name == Weight ? [.. weight.Values.Select(value => (float)value)] : model[name].ToFloats()
                    )
                ),
            ]
        );
    }
}
