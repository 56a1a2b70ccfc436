using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>
/// A model with quantised linear layers computes as the model whose weights are what the codes stand for.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedModelTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 3,
        Alpha = 6,
        Seed = 2,
    };

    [Test]
    public void LogitsAndGradientsAreThoseOfTheRoundedWeights(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [ValueSource(nameof(Models))] ModelConfig config
    )
    {
        using CausalLanguageModel quantized = Quantized(config, new BaseQuantization(format));
        using CausalLanguageModel rounded = Rounded(quantized.Config, format);
        var data = Batch.Create(TinyModels.Records(3, config, new Random(4)));
        float[] expected = Losses.Logits(rounded, data);
        Assert.That(
            Losses.Logits(quantized, data),
            Is.EqualTo(expected).Within(1e-5f * expected.Max(Math.Abs)),
            "without an adapter"
        );
        (float[] actual, double loss) = Gradients(quantized, data);
        (float[] gradients, double reference) = Gradients(rounded, data);
        Assert.That(loss, Is.EqualTo(reference).Within(1e-5 * reference));
        Assert.That(actual, Is.EqualTo(gradients).Within(1e-5f * gradients.Max(Math.Abs)));
    }

    [Test]
    public void OnlyTheLinearLayersOfBlocksAreQuantized()
    {
        using CausalLanguageModel model = Quantized(TinyModels.Mixtral, new BaseQuantization(WeightFormat.Nf4));
        string[] quantized =
        [
            .. model.Linears.Where(linear => linear.Weight.IsQuantized).Select(linear => linear.Name),
        ];
        Assert.Multiple(() =>
        {
            Assert.That(quantized, Has.Some.EndsWith("q_proj").And.Some.EndsWith("experts.0.w1"));
            Assert.That(quantized, Has.None.EndsWith(".gate"), "routers choose, and are small");
            Assert.That(model.Head.Weight.IsQuantized || model.Embedding.Weight.IsQuantized, Is.False);
            Assert.That(
                () => model.Linears[0].Weight.Value,
                Throws.InvalidOperationException.With.Message.Contains("quantised")
            );
        });
    }

    [Test]
    public void DoubleQuantizationRoundsTheScalesOnly()
    {
        using CausalLanguageModel once = Quantized(TinyModels.Llama, new BaseQuantization(WeightFormat.Nf4));
        using CausalLanguageModel twice = Quantized(
            TinyModels.Llama,
            new BaseQuantization(WeightFormat.Nf4, Double: true)
        );
        foreach ((Linear first, Linear second) in once.Linears.Zip(twice.Linears))
        {
            float[] exact = first.Weight.ToArray();
            float[] coarse = second.Weight.ToArray();
            // 8 bits of a dynamic code leave at most 1/2 of 1/60 or so of the largest distance from the mean.
            Assert.That(coarse, Is.EqualTo(exact).Within(0.03f * exact.Max(Math.Abs)), first.Name);
            Assert.That(coarse, Is.Not.EqualTo(exact), first.Name);
            Assert.That(coarse.Select(Math.Sign), Is.EqualTo(exact.Select(Math.Sign)), first.Name);
        }
    }

    private (float[] Values, double Loss) Gradients(CausalLanguageModel model, Batch data)
    {
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), Options);
        TestAdapters.Perturb(adapter, 3);
        adapter.Parameters.EnableGradients();
        double loss = Losses.WithGradients(model, data);
        return ([.. adapter.Parameters.Parameters.SelectMany(parameter => parameter.Gradient!.ToArray())], loss);
    }

    private CausalLanguageModel Quantized(ModelConfig config, BaseQuantization quantization)
    {
        using (CausalLanguageModel model = TinyModels.Trainable(config, Device))
            model.Save(Folder.Path, null);
        using var opened = ModelFolder.Open(Folder.Path, quantization: quantization);
        return CausalLanguageModel.Load(opened, Device, DType.F32);
    }

    private CausalLanguageModel Rounded(ModelConfig config, WeightFormat format)
    {
        using CausalLanguageModel model = TinyModels.Trainable(config, Device);
        var byName = model.Trainable!.Parameters.ToDictionary(parameter => parameter.Name);
        IReadOnlySet<string> quantized = ModelTensors.Quantizable(config);
        return CausalLanguageModel.Of(
            config,
            Device,
            false,
            name =>
                quantized.Contains(name)
                    ? ReferenceQuantization.Round(
                        byName[name].ToArray(),
                        byName[name].Shape[1],
                        format.ToString().ToLowerInvariant()
                    )
                    : byName[name].ToArray()
        );
    }

    private static IEnumerable<WeightFormat> Formats() =>
        [WeightFormat.Nf4, WeightFormat.Fp4, WeightFormat.Fp8, WeightFormat.Int8];

    private static IEnumerable<ModelConfig> Models() =>
        [TinyModels.Everything, TinyModels.Phi3, TinyModels.Gpt2, TinyModels.Cohere, TinyModels.Mixtral];
}
