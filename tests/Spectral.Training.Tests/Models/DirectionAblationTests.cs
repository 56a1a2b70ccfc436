using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>
/// Directions that training takes out of hidden states: nothing of them is left, gradients are those of the changed
/// loss, and only training is changed.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DirectionAblationTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly ModelConfig Config = TinyModels.Llama;

    private Batch Data { get; } = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);

    [Test]
    public void NothingIsLeftAlongTheDirections([Values] bool checkpoint)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        double[] directions = Directions(2, 3);
        string name = $"model.layers.{Config.Layers - 1}";
        model.Ablation = Keep(Load(model, (name, [2, Config.HiddenSize], directions)));
        using var tensors = new BatchTensors(Device, Data);
        using var tape = new Tape(Device);
        using Variable hidden = model.Hidden(tape, tensors, checkpoint);
        float[] h = hidden.Value.ToArray();
        using var silent = new Tape(Device, records: false);
        using Variable whole = model.Hidden(silent, tensors);
        float[] before = whole.Value.ToArray();

        // By Gram and Schmidt: what is left is h less its parts along d1, and along d2 less its part along d1.
        int width = Config.HiddenSize;
        double[] first = Unit(directions[..width]);
        double along = Dot(directions[width..], first);
        double[] second = Unit([.. directions[width..].Select((value, i) => value - (along * first[i]))]);
        for (int row = 0; row < h.Length / width; row++)
        {
            double[] x = [.. before[(row * width)..((row + 1) * width)].Select(value => (double)value)];
            (double a, double b, double size) = (Dot(x, first), Dot(x, second), Math.Sqrt(Dot(x, x)));
            Assert.That(Math.Abs(a) + Math.Abs(b), Is.GreaterThan(1e-3 * size), "evaluation keeps them");
            for (int i = 0; i < width; i++)
            {
                double expected = x[i] - (a * first[i]) - (b * second[i]);
                Assert.That(h[(row * width) + i], Is.EqualTo(expected).Within(2e-6 * size));
            }
        }
    }

    /// <summary>Against central differences of the loss with the directions taken out after both blocks.</summary>
    [Test]
    public void GradientsAreThoseOfTheChangedLoss()
    {
        const double Step = 1e-2;
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find("lora"),
            new AdapterOptions { Rank = 2, TargetModules = ["layers.0.mlp.down_proj", "layers.1.self_attn.q_proj"] }
        );
        TestAdapters.Perturb(adapter, 3);
        adapter.Parameters.EnableGradients();
        double plain = Loss(model, backward: false);
        model.Ablation = Keep(
            Load(
                model,
                ("layers.0", [Config.HiddenSize], Directions(1, 5)),
                ("model.layers.1", [2, Config.HiddenSize], Directions(2, 6))
            )
        );
        Assert.That(Loss(model, backward: true), Is.Not.EqualTo(plain).Within(1e-3));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            float[] values = parameter.Master.ToArray();
            float[] gradient = parameter.Gradient!.ToArray();
            float largest = gradient.Max(Math.Abs);
            foreach (int i in new[] { 0, Array.FindIndex(gradient, value => Math.Abs(value) == largest) })
            {
                double Moved(double by)
                {
                    float[] moved = [.. values];
                    moved[i] = (float)(moved[i] + by);
                    parameter.Master.CopyFrom(moved);
                    adapter.Parameters.NotifyChanged();
                    return Loss(model, backward: false);
                }
                double near = (Moved(Step / 2) - Moved(-Step / 2)) / Step;
                double far = (Moved(Step) - Moved(-Step)) / (2 * Step);
                Assert.That(
                    gradient[i],
                    Is.EqualTo(((4 * near) - far) / 3).Within(1e-2 * largest),
                    $"{parameter.Name}[{i}]"
                );
            }
            parameter.Master.CopyFrom(values);
        }
    }

    [TestCase("model.layers.9", 1, "model.layers.0 to model.layers.1")]
    [TestCase("model.norm", 1, "expected the name of a block")]
    [TestCase("players.0", 1, "expected the name of a block")]
    [TestCase("model.layers.0", 3, "expected [k,")]
    [TestCase("model.layers.0", 0, "is zero")]
    public void FilesOfOtherThingsAreNamed(string name, int kind, string says)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        int width = kind == 3 ? 3 : Config.HiddenSize;
        double[] values = [.. Enumerable.Repeat(kind == 0 ? 0.0 : 1.0, width)];
        Assert.That(
            () => Load(model, (name, [1, width], values)),
            Throws.TypeOf<InputException>().With.Message.Contains(says).And.Message.Contains("directions.safetensors")
        );
    }

    /// <summary>Returns the loss of training: the tape records.</summary>
    private double Loss(CausalLanguageModel model, bool backward)
    {
        using var tensors = new BatchTensors(Device, Data);
        using var tape = new Tape(Device);
        using Tensor loss = model.Loss(tape, tensors, 1);
        if (backward)
            tape.Backward();
        return loss.ToArray()[0];
    }

    private DirectionAblation Load(
        CausalLanguageModel model,
        params (string Name, long[] Shape, double[] Values)[] tensors
    )
    {
        string path = Path.Combine(Folder.Path, "directions.safetensors");
        SafetensorsWriter.Write(
            path,
            [
                .. tensors.Select(tensor =>
                    TensorToWrite.Floats(
                        tensor.Name,
                        StoredType.F32,
                        tensor.Shape,
                        () => Array.ConvertAll(tensor.Values, value => (float)value)
                    )
                ),
            ]
        );
        return DirectionAblation.Load(path, model);
    }

    private static double[] Directions(int count, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, count * Config.HiddenSize).Select(_ => (double)(float)(random.NextDouble() - 0.5)),
        ];
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static double[] Unit(double[] x)
    {
        double norm = Math.Sqrt(Dot(x, x));
        return [.. x.Select(value => value / norm)];
    }
}
