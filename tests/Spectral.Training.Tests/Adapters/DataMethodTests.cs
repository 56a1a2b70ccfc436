using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// What holds for all methods that start from data: gradients, BF16 models, and ranks that do not fit.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DataMethodTests(DeviceKind kind) : DataMethodTest(kind)
{
    [Test]
    public void GradientsOfWhatTrains([Values("lora-ga", "lora-one", "lora-sb", "eva", "corda")] string method)
    {
        using Adapter adapter = Attach(method, Options);
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, TinyModels.Llama, new Random(4)));
        using (BatchTensors tensors = new(Device, batch))
        using (Tape tape = new(Device))
        using (Model.Loss(tape, tensors, 1))
            tape.Backward();
        var factors = adapter
            .Modules.SelectMany(module => module.Factors.Values)
            .ToDictionary(
                factor => factor.Name,
                factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
            );
        ReferenceModel reference = new(Model.Config, TestAdapters.Weights(Folder.Path)) { WeightChange = Dense };
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.Of(factors[parameter.Name], 1e-5, () => reference.LossSum(batch)),
                Tolerance,
                parameter.Name
            );
        }

        double[]? Dense(string linear)
        {
            if (adapter.Modules.FirstOrDefault(module => module.Shape.Name == linear) is not { } module)
                return null;
            int rank = module.Options.Rank;
            double[] Product(string suffix) =>
                Multiply(
                    factors[$"{linear}.{LoraNames.B}{suffix}"],
                    factors[$"{linear}.{LoraNames.A}{suffix}"],
                    module.Shape.Out,
                    rank,
                    module.Shape.In
                );
            return method switch
            {
                "lora-one" => [.. Product("").Select(value => 6 / Math.Sqrt(3) * value)],
                "lora-sb" => Multiply(
                    Multiply(
                        factors[$"{linear}.{LoraNames.B}"],
                        factors[$"{linear}.lora_latent"],
                        module.Shape.Out,
                        rank,
                        rank
                    ),
                    factors[$"{linear}.{LoraNames.A}"],
                    module.Shape.Out,
                    rank,
                    module.Shape.In
                ),
                "eva" => [.. Product("").Select(value => 2 * value)], // 6 / 3 whatever the layer's rank
                _ => [.. Product("").Zip(Product(".start"), (now, before) => 2 * (now - before))],
            };
        }
    }

    [Test]
    public void AllStartFromABf16Model([Values("lora-ga", "lora-one", "lora-sb", "eva", "corda")] string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder, DType.BF16));
        EncodedRecord[] records = TinyModels.Records(5, TinyModels.Llama, new Random(9));
        double before = Evaluator.Evaluate(model, records).Loss;
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find(method),
            Options,
            new ModelCalibration(model, records, 2)
        );
        double after = Evaluator.Evaluate(model, records).Loss;
        if (adapter.Method.StartsAtBase)
        {
            Assert.That(
                after,
                Is.EqualTo(before).Within(1).Percent,
                "what is added is subtracted, each rounded to 8 bits on its way"
            );
        }
        else
        {
            Assert.That(after, Is.LessThan(before), "a step against the gradient of these records");
        }

        foreach (AdaptedModule module in adapter.Modules)
            Assert.That(Norm(Row(module, LoraNames.A, 0)), Is.GreaterThan(0).And.LessThan(100), module.Shape.Name);
    }

    [Test]
    public void RanksThatDoNotFitAreNamed()
    {
        // k_proj is [8, 12]: LoRA-GA takes twice as many triplets as its rank.
        Assert.That(
            () => Attach("lora-ga", Options with { Rank = 5 }),
            Throws.TypeOf<InputException>().With.Message.Contains("twice rank 10").And.Message.Contains("1 to 8")
        );
        Assert.That(
            () => Attach("lora-one", Options with { Rank = 9 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 9")
        );
        Assert.That(
            () => Attach("lora-sb", Options with { Rank = 9 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 9")
        );
        Assert.That(
            () => Attach("corda", Options with { Rank = 9 }),
            Throws.TypeOf<InputException>().With.Message.Contains("rank 9")
        );
        Assert.That(
            () => Attach("eva", Options with { Rank = 0 }),
            Throws.TypeOf<InputException>().With.Message.Contains("at least 1")
        );
    }
}
