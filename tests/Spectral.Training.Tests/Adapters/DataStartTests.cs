using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// What any method gets that starts from data: a calibration to ask, and ranks of its own choice for each layer.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DataStartTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly AdapterOptions Options = new()
    {
        Rank = 2,
        Alpha = 6,
        TargetModules = ["q_proj", "down_proj"],
    };

    [Test]
    public void WithoutDataItIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Assert.That(
            () => Adapter.Attach(model, new FirstLayerTwice(), Options),
            Throws.TypeOf<InputException>().With.Message.EqualTo("lora starts from data: expected calibration records")
        );
    }

    [Test]
    public void RanksAreTheMethodsAndALayerCanGoWithout()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        string directory = Directory.CreateDirectory(Path.Combine(Folder.Path, "adapter")).FullName;
        string[] kept =
        [
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.mlp.down_proj",
            "model.layers.1.self_attn.q_proj",
        ];
        using (Adapter adapter = TestAdapters.Attach(model, new FirstLayerTwice(), Options))
        {
            Assert.That(adapter.Modules.Select(module => module.Shape.Name), Is.EqualTo(kept));
            Assert.That(adapter.Modules.Select(module => module.Options.Rank), Is.EqualTo(new[] { 4, 2, 2 }));
            Assert.That(adapter.Modules.Select(module => module.Options.Scale), Is.All.EqualTo(3), "one scale");
            Assert.That(adapter.Modules[1].Factors[LoraNames.A].Master.ToArray(), Is.All.EqualTo(0.5f));
            adapter.Save(directory);
        }
        using var loaded = Adapter.Load(model, directory);
        Assert.That(
            loaded.Modules.Select(module => (module.Shape.Name, module.Options.Rank, module.Options.Scale)),
            Is.EqualTo(kept.Zip(new[] { 4, 2, 2 }, (name, rank) => (name, rank, 3.0)))
        );
        Assert.That(loaded.Options.TargetModules, Is.EquivalentTo(kept));
    }

    [Test]
    public void TheRecordsAreThoseThatTrainingSeesFirst()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        EncodedRecord[] data = TinyModels.Records(9, TinyModels.Llama, new Random(3));
        TrainerOptions options = new() { Batch = 2, Seed = 5 };
        EncodedRecord[] first =
        [
            .. new BatchSampler(data.Length, 4, options.Seed, shuffle: true).Next().Select(index => data[index]),
        ];
        string[] modules = [model.Linears[0].Name];
        Assert.That(
            Moment(ModelCalibration.OfTraining(model, data, options, 4)),
            Is.EqualTo(Moment(new ModelCalibration(model, first, 2)))
        );
        Assert.That(
            Moment(ModelCalibration.OfTraining(model, data, options, 400)),
            Is.EqualTo(Moment(ModelCalibration.OfTraining(model, data, options, 9))),
            "there are no more"
        );
        Assert.That(() => ModelCalibration.OfTraining(model, [], options, 4), Throws.TypeOf<InputException>());

        float[] Moment(ModelCalibration calibration)
        {
            using Tensor moment = calibration.InputSecondMoments(modules).Single();
            return moment.ToArray();
        }
    }

    /// <summary>
    /// A LoRA whose first layer has twice the rank, whose last has none, and whose A is a number that it asked the data
    /// for.
    /// </summary>
    private sealed class FirstLayerTwice : AdapterMethod
    {
        public override string Name => "lora";

        public override string Formula => "";

        public override string Source => "";

        public override string Use => "";

        public override bool StartsFromData => true;

        public override IReadOnlyList<AdapterOptions?> Distribute(
            IReadOnlyList<ModuleShape> modules,
            AdapterOptions options,
            ICalibration? calibration
        ) =>
            [
                .. modules.Select(
                    (_, i) => i == modules.Count - 1 ? null : options.AtRank(i == 0 ? 2 * options.Rank : options.Rank)
                ),
            ];

        public override AdapterForm Form(AdapterBuilder layer) =>
            new() { Terms = [LoraMethod.Term(layer, layer.Rank)] };

        public override void Initialize(IReadOnlyList<AdapterStart> starts)
        {
            foreach (
                (AdapterStart start, InputDirections found) in starts.Zip(
                    starts[0].Calibration.InputDirections([.. starts.Select(start => start.Module.Name)], 1)
                )
            )
            {
                start[LoraNames.A].CopyFrom([.. Enumerable.Repeat(found.Count / 2f, (int)start[LoraNames.A].Count)]);
            }
        }
    }
}
