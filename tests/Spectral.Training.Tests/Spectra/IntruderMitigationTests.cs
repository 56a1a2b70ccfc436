using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Spectra;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Spectra;

/// <summary>Tests the checkpoint with scaled intruder dimensions against the formula, in double.</summary>
public sealed class IntruderMitigationTests : FolderTest
{
    private const string Weight = "model.layers.1.mlp.up_proj.weight";
    private const int Rows = 12;
    private const int Columns = 8;

    private static readonly SpectraOptions NoDraws = new() { Draws = 0 };

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

    [TestCase(0.75, StoredType.F32, false)]
    [TestCase(0, StoredType.F32, true)]
    [TestCase(0.4, StoredType.BF16, true)]
    [TestCase(1, StoredType.BF16, false)]
    public void IntrudersAreScaledAndTheRestStays(double factor, StoredType type, bool sharded)
    {
        TinyModel.Write(folder);
        Dense before = Read(folder.Path, Weight);
        Dense after = before + (4 * Newcomer(before));
        WriteTuned(after, type, sharded);
        after = Read(_tuned.Path, Weight); // as rounded

        IReadOnlyList<MitigatedMatrix> matrices = Mitigate(new MitigationOptions { Factor = factor });

        (Dense u0, _, _) = JacobiSvd.Of(before);
        (Dense u, double[] values, Dense v) = JacobiSvd.Of(after);
        Dense cosines = u.Transposed * u0;
        int[] intruders =
        [
            .. Enumerable
                .Range(0, Columns)
                .Where(i => Enumerable.Range(0, Columns).Max(j => Math.Abs(cosines[i, j])) < 0.5),
        ];
        Assert.That(intruders, Does.Contain(0), "the planted direction comes first");
        Assert.That(matrices.Select(matrix => matrix.Name), Is.EqualTo(new[] { Weight }));
        Assert.That(matrices[0].Positions, Is.EqualTo(intruders.Select(i => i + 1)));
        Assert.That(matrices[0].Values, Is.EqualTo(intruders.Select(i => values[i])).Within(1e-9));
        double removed = (1 - factor) * Math.Sqrt(intruders.Sum(i => values[i] * values[i]));
        double change = Math.Sqrt((after - before).Values.Sum(value => value * value));
        Assert.That(matrices[0].Change, Is.EqualTo(removed / change).Within(1e-9));

        var expected = Dense.Of(
            Rows,
            Columns,
            (i, j) => after[i, j] + intruders.Sum(k => (factor - 1) * values[k] * u[i, k] * v[j, k])
        );
        using var tuned = ModelFolder.Open(_tuned.Path);
        using var written = ModelFolder.Open(_written.Path);
        Assert.That(written.TensorNames, Is.EquivalentTo(tuned.TensorNames));
        foreach (string name in tuned.TensorNames)
        {
            Assert.That(written[name].Type, Is.EqualTo(type), name);
            if (name != Weight)
                Assert.That(written[name].ToFloats(), Is.EqualTo(tuned[name].ToFloats()), name);
        }
        // The type's rounding: 2⁻⁸ of each value in BF16, 2⁻²⁴ in F32.
        double rounding = type == StoredType.BF16 ? 1.0 / 256 : 1e-7;
        float[] found = written[Weight].ToFloats();
        for (int i = 0; i < found.Length; i++)
        {
            Assert.That(
                (double)found[i],
                Is.EqualTo(expected.Values[i]).Within((rounding * Math.Abs(expected.Values[i])) + 1e-6),
                $"entry {i}"
            );
        }
        Assert.That(File.Exists(_written.File("config.json")), Is.True);
    }

    [Test]
    public void TheSpectrumHasTheFactorAtTheIntruderAlone()
    {
        TinyModel.Write(folder);
        Dense before = Read(folder.Path, Weight);
        WriteTuned(before + (4 * Newcomer(before)), StoredType.F32, sharded: false);
        int[] positions = Mitigate(new MitigationOptions { Factor = 0.5 })[0].Positions;
        double[] old = JacobiSvd.Of(Read(_tuned.Path, Weight)).Values;
        double[] expected = [.. old.Select((value, i) => positions.Contains(i + 1) ? value / 2 : value)];
        Assert.That(
            JacobiSvd.Of(Read(_written.Path, Weight)).Values,
            Is.EqualTo(expected.OrderDescending()).Within(1e-5)
        );
    }

    [Test]
    public void RefusesWhatItCannotTellOrScale()
    {
        JsonObject config = TinyModel.ConfigJson();
        config["tie_word_embeddings"] = true;
        TinyModel.Write(folder, config);
        using var model = ModelFolder.Open(folder.Path);
        Assert.That(
            () =>
                Analysis(
                    model,
                    ["up_proj"],
                    NoDraws with
                    {
                        Svd = Kernels.Linalg.SvdMethod.Randomized,
                        RandomizedRank = 4,
                    }
                ),
            Throws.TypeOf<InputException>().With.Message.Contains("up_proj.weight").And.Message.Contains("exact")
        );
        Assert.That(
            () => Analysis(model, ["embed_tokens"], NoDraws),
            Throws.TypeOf<InputException>().With.Message.Contains("embed_tokens.weight").And.Message.Contains("shared")
        );
        Assert.That(
            () => Analysis(model, ["up_proj"], NoDraws, new MitigationOptions { Factor = 1.5 }),
            Throws.TypeOf<InputException>().With.Message.Contains("1.5")
        );
    }

    private static SpectraAnalysis Analysis(
        ModelFolder model,
        string[] targets,
        SpectraOptions options,
        MitigationOptions? mitigation = null
    ) => new(model, model, null, targets, options, mitigation ?? new MitigationOptions());

    private IReadOnlyList<MitigatedMatrix> Mitigate(MitigationOptions options)
    {
        using var before = ModelFolder.Open(folder.Path);
        using var after = ModelFolder.Open(_tuned.Path);
        using var device = Device.Cpu();
        using var analysis = new SpectraAnalysis(before, after, null, ["q_proj", "up_proj"], NoDraws, options);
        analysis.Run(device);
        return analysis.WriteMitigated(_written.Path, device);
    }

    /// <summary>Returns u vᵀ, where u is orthogonal to all columns of a matrix and v is a coordinate.</summary>
    private static Dense Newcomer(Dense matrix)
    {
        (Dense span, _, _) = JacobiSvd.Of(matrix);
        var random = new Random(3);
        double[] u = [.. Enumerable.Range(0, Rows).Select(_ => random.NextNormal())];
        for (int j = 0; j < Columns; j++)
        {
            double dot = Enumerable.Range(0, Rows).Sum(i => u[i] * span[i, j]);
            for (int i = 0; i < Rows; i++)
                u[i] -= dot * span[i, j];
        }
        double norm = Math.Sqrt(u.Sum(value => value * value));
        return Dense.Of(Rows, Columns, (i, j) => j == 2 ? u[i] / norm : 0);
    }

    private static Dense Read(string directory, string name)
    {
        using var model = ModelFolder.Open(directory);
        return Dense.Of(Rows, Columns, [.. model[name].ToFloats().Select(value => (double)value)]);
    }

    /// <summary>Writes the base model with another weight, in one file or in two shards with an index.</summary>
    private void WriteTuned(Dense weight, StoredType type, bool sharded)
    {
        TinyModel.WriteConfig(_tuned);
        using var model = ModelFolder.Open(folder.Path);
        TensorToWrite[] tensors =
        [
            .. model
                .TensorNames.Order(StringComparer.Ordinal)
                .Select(name =>
                {
                    float[] values =
                        name == Weight ? [.. weight.Values.Select(value => (float)value)] : model[name].ToFloats();
                    return TensorToWrite.Floats(name, type, model[name].Shape, () => values);
                }),
        ];
        if (!sharded)
        {
            SafetensorsWriter.Write(_tuned.File("model.safetensors"), tensors);
            return;
        }
        var map = new JsonObject();
        foreach ((TensorToWrite[] part, int i) in tensors.Chunk(tensors.Length / 2 + 1).Select((part, i) => (part, i)))
        {
            string file = $"model-{i + 1:00000}-of-00002.safetensors";
            SafetensorsWriter.Write(_tuned.File(file), part);
            foreach (TensorToWrite tensor in part)
                map[tensor.Name] = file;
        }
        _tuned.Write("model.safetensors.index.json", new JsonObject { ["weight_map"] = map }.ToJsonString());
    }
}
