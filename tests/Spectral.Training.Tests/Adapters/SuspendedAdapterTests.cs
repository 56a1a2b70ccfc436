using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>A suspended adapter leaves the base, whatever it puts into a model; then it is as it was.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SuspendedAdapterTests(DeviceKind kind) : TrainingTest(kind)
{
    private static IEnumerable<string> Methods => AdapterMethods.All.Select(method => method.Name);

    [TestCaseSource(nameof(Methods))]
    public void EveryMethodLeavesTheBase(string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        Verify(
            TinyModels.Llama,
            model =>
                TestAdapters.Attach(
                    model,
                    method,
                    new AdapterOptions
                    {
                        Rank = 2,
                        TopK = 2,
                        Alpha = 3,
                        Seed = 9,
                        InvocationTokens = Records(TinyModels.Llama)[0].Tokens[..1], // so that it acts
                    }
                ),
            TestAdapters.BaseOf(method)
        );
    }

    [Test]
    public void WeightsInPlaceOfTheBaseAreSuspendedToo()
    {
        AdapterOptions options = new()
        {
            Rank = 2,
            ModulesToSave = ["embed_tokens", "norm"],
            Bias = AdapterBias.All,
        };
        Verify(TinyModels.Everything, model => Adapter.Attach(model, AdapterMethods.Find("lora"), options));
        Verify(
            TinyModels.Qwen2,
            model => Adapter.Attach(model, AdapterMethods.Find("lora"), options with { Bias = AdapterBias.Adapted })
        );
    }

    [Test]
    public void ATiedHeadIsSuspendedWithItsEmbedding([Values] bool keepTied) =>
        Verify(
            TinyModels.Qwen2,
            model =>
                Adapter.Attach(
                    model,
                    AdapterMethods.Find("lora"),
                    new AdapterOptions
                    {
                        Rank = 2,
                        ModulesToSave = ["embed_tokens"],
                        KeepTied = keepTied,
                    }
                )
        );

    [Test]
    public void TrainedTokensAreSuspendedToo() =>
        Verify(
            TinyModels.Qwen2,
            model =>
                Adapter.Attach(
                    model,
                    AdapterMethods.Find("lora"),
                    new AdapterOptions
                    {
                        Rank = 2,
                        TrainableTokens = [KeyValuePair.Create("embed_tokens", (IReadOnlyList<int>)[1, 3, 4, 7])],
                    }
                )
        );

    private static EncodedRecord[] Records(ModelConfig config) => TinyModels.Records(4, config, new Random(3));

    private void Verify(
        ModelConfig config,
        Func<CausalLanguageModel, Adapter> attach,
        BaseQuantization? quantization = null
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder, quantization: quantization));
        var batch = Batch.Create(Records(config));
        float[] untrained = Losses.Logits(model, batch);
        Adapter adapter = Keep(attach(model));
        TestAdapters.Perturb(adapter, 23);
        float[] trained = Losses.Logits(model, batch);
        float apart = trained.Zip(untrained, (x, y) => Math.Abs(x - y)).Max();
        Assert.That(apart, Is.GreaterThan(1e-4f), "the adapter changes something");
        using (adapter.Suspend())
        {
            Assert.That(Losses.Logits(model, batch), Is.EqualTo(untrained).Within(2e-6f));
            Assert.That((model.Trainable, Adapter.Of(model)), Is.EqualTo(((object?)null, (Adapter?)null)));
        }

        Assert.That(Losses.Logits(model, batch), Is.EqualTo(trained));
        Assert.That(Adapter.Of(model), Is.SameAs(adapter));
    }
}
