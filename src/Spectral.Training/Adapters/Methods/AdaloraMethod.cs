using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// AdaLoRA: all layers begin with the same number of triplets (column of B, e, row of A). While the budget falls, the
/// least important ones of all layers are set to zero, but may return. In the last part of the run they stay zero.
/// </summary>
internal sealed class AdaloraMethod : AdapterMethod
{
    private const string A = "lora_A";
    private const string B = "lora_B";
    private const string E = "lora_E";
    private const string Kept = "lora_E.kept";

    public override string Name => "adalora";
    public override string Formula =>
        "W + (alpha/rank)·B·diag(E)·A, loss + gamma·mean(‖BᵀB - I‖, ‖A·Aᵀ - I‖); triplets pruned from "
        + "rank to target-rank a layer on average";
    public override string Source => "Zhang et al., 2023, arXiv 2303.10512";
    public override string Use =>
        "Finds out which layers need rank and which do not. Its scores cost a few passes over the "
        + "factors and, at every pruning, a wait for the device.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(12, "init_r"),
        PeftField.Alpha("lora_alpha", 8),
        PeftField.Dropout("lora_dropout"),
        PeftField.Bias("lora_only"),
        PeftField.KeptRanks("rank_pattern", ".lora_E"),
        PeftField.Written("total_step", 1), // PEFT refuses a config without it
        .. PeftField.Ignored(
            "r",
            "target_r",
            "tinit",
            "tfinal",
            "deltaT",
            "beta1",
            "beta2",
            "orth_reg_weight",
            "init_lora_weights",
            "use_rslora",
            "alpha_pattern",
            "loftq_config",
            "eva_config",
            "corda_config",
            "lora_ga_config",
            "velora_config",
            "qalora_group_size",
            "megatron_core",
            "ensure_weight_tying",
            "runtime_config"
        ),
        .. PeftField.Unsupported(
            "use_dora",
            "lora_bias",
            "layer_replication",
            "target_parameters",
            "trainable_token_indices",
            "alora_invocation_tokens",
            "use_qalora",
            "use_bdlora",
            "arrow_config",
            "kasa_config",
            "monteclora_config",
            "megatron_config"
        ),
    ];
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole("target-rank", 0, 0, 65536, "Average rank at the end, at most --rank; 0: half of --rank."),
        new("begin", 0.1, 0, 1, "Share of the run's steps before the first pruning."),
        new("finish", 0.3, 0, 1, "Share of the run's steps at the end, in which only the kept triplets train."),
        AdapterSetting.Whole("interval", 10, 1, 1000000, "Steps from one pruning to the next."),
        new("gamma", 0.5, 0, 1e6, "Weight of the penalty that keeps factors orthonormal."),
        Penalties.Free,
        new("beta1", 0.85, 0, 0.9999, "Decay of the running mean of importance."),
        new("beta2", 0.85, 0, 0.9999, "Decay of the running mean of its uncertainty."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        if (layer.Setting("target-rank") > rank)
        {
            throw new InputException(
                $"target-rank {layer.Setting("target-rank")} for {layer.Module.Name}: expected at most its rank, {rank}"
            );
        }

        Factor left = layer.Trained(B, (layer.Out, rank), Start.Normal(0.02), layer.Options.LearningRateRatio);
        (Factor middle, Factor right) = (
            layer.Trained(E, (rank, 1)),
            layer.Trained(A, (rank, layer.In), Start.Normal(0.02))
        );
        Sensitivity.Declare(layer, left, middle, right);
        layer.State(Kept, (rank, 1), Start.Ones);
        // PEFT treats an alpha of 0 or less as absent.
        double scale = (layer.Options.Alpha > 0 ? layer.Options.Alpha : rank) / (rank + PeftField.AdaloraRankOffset);
        double free = layer.Setting(Penalties.Free.Name);
        double each = layer.Setting("gamma") / (2 * layer.AllModules.Count);
        return new AdapterForm
        {
            Terms = [new(left, right, scale) { Middle = middle.Reshape(rank) }],
            Penalty = Penalties
                .Orthonormality(left, columns: true, free)
                .Add(Penalties.Orthonormality(right, columns: false, free), each, each),
        };
    }

    public override void BeforeUpdate(AdapterStep step)
    {
        if (step.Number > Phases(step).Last)
            return;
        (double beta1, double beta2) = (step.Options.Setting(this, "beta1"), step.Options.Setting(this, "beta2"));
        foreach (IReadOnlyDictionary<string, Parameter> factors in step.Modules.Select(module => module.Factors))
        {
            foreach (string name in (string[])[A, B, E])
                Sensitivity.Update(factors, name, beta1, beta2);
        }
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        (int first, int last) = Phases(step);
        if (
            step.Number <= first
            || (step.Number < last && step.Number % (int)step.Options.Setting(this, "interval") != 0)
        )
        {
            return false;
        }

        if (step.Number <= last)
            Allocate(step, Math.Pow(1 - (step.Number - first) / (double)(last - first), 3));
        foreach (IReadOnlyDictionary<string, Parameter> factors in step.Modules.Select(module => module.Factors))
            BroadcastMultiply.Run(factors[E].Master, factors[Kept].Master, factors[E].Master, Broadcast.PerElement);
        return true;
    }

    /// <summary>
    /// Keeps the most important triplets of all layers: the final number, plus a share of the others.
    /// </summary>
    private void Allocate(AdapterStep step, double share)
    {
        (int begin, int end) = (
            step.Modules.Sum(module => module.Options.Rank),
            step.Modules.Sum(module => Target(module.Options))
        );
        IOrderedEnumerable<(AdaptedModule module, int i, float score)> ranked = step
            .Modules.SelectMany(module => Scores(module.Factors).Select((score, i) => (module, i, score)))
            .OrderByDescending(triplet => triplet.score);
        ILookup<AdaptedModule, int> kept = ranked
            .Take((int)((begin - end) * share) + end)
            .ToLookup(triplet => triplet.module, triplet => triplet.i);
        foreach (AdaptedModule module in step.Modules)
        {
            module
                .Factors[Kept]
                .Master.CopyFrom([
                    .. Enumerable.Range(0, module.Options.Rank).Select(i => kept[module].Contains(i) ? 1f : 0f),
                ]);
        }
    }

    private static IEnumerable<float> Scores(IReadOnlyDictionary<string, Parameter> factors)
    {
        (float[] left, float[] right) = (
            Sensitivity.Scores(factors, B, Broadcast.PerColumn),
            Sensitivity.Scores(factors, A, Broadcast.PerRow)
        );
        return Sensitivity.Scores(factors, E, Broadcast.PerRow).Select((score, i) => score + left[i] + right[i]);
    }

    private int Target(AdapterOptions options) =>
        options.Setting(this, "target-rank") is > 0 and var target ? (int)target : (options.Rank + 1) / 2;

    /// <summary>Returns the last step before pruning begins, and the step of the last pruning.</summary>
    private (int First, int Last) Phases(AdapterStep step)
    {
        int first = Math.Min((int)(step.Options.Setting(this, "begin") * step.Total), step.Total - 1);
        return (first, Math.Max(first + 1, step.Total - (int)(step.Options.Setting(this, "finish") * step.Total)));
    }
}
