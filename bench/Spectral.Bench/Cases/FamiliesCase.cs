using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Models;

namespace Spectral.Bench.Cases;

/// <summary>
/// The training step of each model family beside Llama's: LoRA on models of two layers whose products are as large,
/// counting of a layer of experts those that a token takes.
/// </summary>
internal sealed class FamiliesCase : BenchCase
{
    private const string Reference = "llama";
    private const int Rank = 16;
    private const int Experts = 4; // of families that have some
    private const int TakenExperts = 2; // by a token

    public override string Name => "families";
    public override int Target => 0;
    public override string Description => "Training step of every model family, ratio to Llama's of equal products.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (int hidden, int heads, int length) = machine.Choose((4096, 32, 4096), (2048, 16, 1024), (256, 4, 128));
        ModelConfig llama = new()
        {
            ModelType = Reference,
            VocabularySize = 512,
            HiddenSize = hidden,
            IntermediateSize = 3 * hidden,
            Layers = 2,
            Heads = heads,
            KeyValueHeads = heads,
            HeadDimension = hidden / heads,
            MaxPositions = length,
        };
        return [new Plan($"2 layers of {hidden} r={Rank} 1 x {length} tokens", () => Prepare(machine, llama, length))];
    }

    private static Scenario Prepare(Machine machine, ModelConfig llama, int length)
    {
        var scenario = new Scenario();
        // Encoders have no next token to learn: their steps take labels.
        foreach (ModelFamily family in ModelFamilies.All.Where(family => !family.SeesAhead))
        {
            ModelConfig config = Alike(llama, family);
            TrainingSetup? setup = null;
            double bytes = double.NaN;
            scenario.Variants.Add(
                new Variant(family.ModelType, _ => setup!.Step())
                {
                    Role = family.ModelType == Reference ? Role.Plain : Role.Ours,
                    IsProgram = true,
                    LeastSamples = 20,
                    MostSamples = 20,
                    Check = () =>
                    {
                        setup = scenario.Own(
                            new TrainingSetup(
                                scenario.Own(TrainingSetup.Model(machine, config)),
                                AdapterMethods.Find("lora"),
                                Rank,
                                rows: 1,
                                length,
                                new TrainerOptions()
                            )
                        );
                        string? complaint = setup.Check();
                        if (complaint is null)
                            setup.Measure(machine, 3, out bytes);
                        return complaint;
                    },
                    Flops = 4 * Products(config) * length,
                    Figures = median => new Dictionary<string, double>
                    {
                        ["tokens_per_second"] = length / median * 1e6,
                        ["managed_bytes_per_step"] = bytes,
                    },
                }
            );
        }

        return scenario;
    }

    /// <summary>
    /// Returns a config of a family whose feed-forward layers are so wide that a token takes as many products as with
    /// another config.
    /// </summary>
    private static ModelConfig Alike(ModelConfig other, ModelFamily family)
    {
        int width = other.IntermediateSize;
        double narrow = Products(WithWidth(width));
        double perColumn = (Products(WithWidth(2 * width)) - narrow) / width;
        return WithWidth(width + (int)Math.Round((Products(other) - narrow) / perColumn));

        ModelConfig WithWidth(int width) =>
            other with
            {
                ModelType = family.ModelType,
                Activation = family.DefaultActivation,
                IntermediateSize = width,
                Experts = new ExpertsConfig
                {
                    Count = Experts,
                    PerToken = TakenExperts,
                    IntermediateSize = width / TakenExperts,
                },
            };
    }

    /// <summary>Returns the multiplications and additions of a token in the layers' products.</summary>
    private static double Products(ModelConfig config) =>
        Enumerable
            .Range(0, config.Layers)
            .SelectMany(layer => config.Family.Linears(config, layer))
            .Sum(linear => Share(linear) * linear.Outputs * linear.Inputs);

    /// <summary>Returns the share of tokens that a linear layer multiplies.</summary>
    private static double Share(LinearSpec linear) =>
        linear.Name.Contains(".experts.", StringComparison.Ordinal) ? (double)TakenExperts / Experts : 1;
}
