using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Grafting: a mask is learned over the entries of a fine-tuned change, and at the end only those stay in which the
/// skill lies. The change is that of the first part of the run, or of an earlier adapter of any method
/// (<see cref="AdapterOptions.PreviousAdapter"/>).
/// </summary>
/// <remarks>
/// The authors write γ = γ₀∘(1 − σ(S)) + (1 − γ₀)∘σ(S) with γ₀ = 1 for the entries that changed most. With the sign of
/// S turned where γ₀ = 1, this is σ(S), and S begins above zero there and below elsewhere.
/// </remarks>
internal sealed class GraftingMethod : AdapterMethod
{
    private const string Scores = "graft_scores";
    private const string Fixed = "graft_change";
    private const string First = "first";
    private const string Lambda = "lambda";
    private const string Begin = "mask-start";
    private const string Rate = "mask-rate";
    private const string Keep = "keep";

    public override string Name => "grafting";
    public override string Formula =>
        "W + σ(S)∘D, first D trained, then S with D fixed, loss + lambda·mean σ(S); at the end the entries of the "
        + "largest S stay and σ(S) = 1";
    public override string Source => "Panigrahi et al., 2023, arXiv 2302.06600";
    public override string Use =>
        "Finds the few entries of a fine-tuned model in which a skill lies, for several skills in one model or for "
        + "forgetting less. With --previous-adapter the change is that of a trained adapter, and the whole run learns "
        + "the mask. As many entries of all layers together stay as a LoRA has scalars, or the share keep; the authors "
        + "keep 0.0001. Training costs as much memory as full fine-tuning with twice the parameters; files have "
        + "the entries that stay alone. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new(First, 0.5, 0, 0.99, "Share of the run's steps in which the change trains; --previous-adapter sets 0."),
        new(Lambda, 1, 0, 1e6, "Weight of the mean of the mask, which makes it sparse."),
        new(Begin, 2, 1e-3, 16, "Scores at which the mask begins: entries that changed most above zero, others below."),
        new(Rate, 20, 1e-6, 1e6, "Learning rate of the scores, as a multiple of that of the change."),
        new(Keep, 0, 0, 1, "Share of the entries of all layers that stay; 0: rank·(in + out) for each layer."),
        ChosenEntries.Kept,
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        // The rank is read here, as the number of entries that stay depends on it at the end.
        _ = layer.Rank;
        if (SparseMasks.KeptForm(layer) is { } kept)
            return kept;
        Shape shape = (layer.Out, layer.In);
        Factor change = layer.Trained(DeltaMethod.Leaf, shape);
        Factor scores = layer.Trained(Scores, shape, Start.Of(layer.Setting(Begin)), layer.Setting(Rate));
        Factor ones = layer.State("ones", shape, Start.Ones);
        layer.State(Fixed, shape);
        Expression mask = scores.Scale(-1).Exp().Add(ones).Reciprocal();
        return new AdapterForm
        {
            Weight = layer.Weight.Add(change.Multiply(mask, Broadcast.PerElement)),
            Penalty = mask.Dot(ones).Scale(layer.Setting(Lambda) / shape.Count),
        };
    }

    internal override AdapterOptions After(AdapterOptions options, string directory) =>
        (options with { PreviousAdapter = directory }).With(First, 0);

    /// <summary>Takes over the change of the earlier adapter, if there is one, and begins its mask.</summary>
    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        SparseMasks.RequireWhole(this, starts);
        AdapterOptions options = starts[0].Options;
        if (options.PreviousAdapter is not { } previous)
        {
            if (options.Setting(this, First) == 0)
                throw new InputException($"setting {First}=0: expected --previous-adapter, whose change to graft");
            return;
        }

        using var reader = new AdapterReader(previous);
        foreach (AdapterStart start in starts)
        {
            // A layer that the earlier adapter did not change keeps zeros.
            if (reader.Modules.FirstOrDefault(module => module.Shape.Name == start.Module.Name) is not { } module)
                continue;
            (int rows, int columns) = (start.Module.Out, start.Module.In);
            if (module.Shape.Out != rows || module.Shape.In != columns)
            {
                throw new InputException(
                    $"{previous}: {module.Shape.Name} is [{module.Shape.Out}, {module.Shape.In}] there, "
                        + $"the model's is [{rows}, {columns}]"
                );
            }

            start[DeltaMethod.Leaf].CopyFrom(DenseChange.Of(reader, module, start.Weight, previous));
        }

        BeginMask(
            [.. starts.Select(start => start[DeltaMethod.Leaf])],
            [.. starts.Select(start => start[Scores])],
            starts.Sum(start => Kept(start.Module, start.Options)),
            options.Setting(this, Begin)
        );
    }

    /// <summary>Returns whether only the entries that stayed are left, in training that goes on from them.</summary>
    private static bool IsDone(AdapterStep step) => step.Modules[0].Form.Entries.Count > 0;

    /// <summary>Notes the change, which stays as it is while the mask trains.</summary>
    public override bool BeforeForward(AdapterStep step)
    {
        if (!IsDone(step) && step.Number > Last(step))
        {
            foreach (AdaptedModule module in step.Modules)
                module.Factors[Fixed].Master.CopyFrom(module.Factors[DeltaMethod.Leaf].Master);
        }

        return false;
    }

    /// <summary>Clears the gradient of what does not train in this part of the run.</summary>
    public override void BeforeUpdate(AdapterStep step)
    {
        if (IsDone(step))
            return;
        string still = step.Number > Last(step) ? DeltaMethod.Leaf : Scores;
        foreach (AdaptedModule module in step.Modules)
            module.Factors[still].Gradient!.Clear();
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        if (IsDone(step))
            return false;
        // Weight decay moves what has no gradient.
        if (step.Number > Last(step))
        {
            foreach (AdaptedModule module in step.Modules)
                module.Factors[DeltaMethod.Leaf].Master.CopyFrom(module.Factors[Fixed].Master);
        }

        bool begins = step.Number == Last(step);
        if (begins)
        {
            foreach (AdaptedModule module in step.Modules)
                FoldMask(module);
            BeginMask(
                [.. step.Modules.Select(module => module.Factors[DeltaMethod.Leaf].Master)],
                [.. step.Modules.Select(module => module.Factors[Scores].Master)],
                step.Modules.Sum(module => Kept(module.Shape, module.Options)),
                step.Options.Setting(this, Begin)
            );
            step.Parameters.NotifyRestarted();
        }

        return step.Number >= Last(step);
    }

    /// <summary>Returns the last step of the first part; 0 without one.</summary>
    private int Last(AdapterStep step) =>
        step.Options.Setting(this, First) is > 0 and var first ? Math.Max(1, (int)(first * step.Total)) : 0;

    private long Kept(ModuleShape module, AdapterOptions options)
    {
        long all = (long)module.Out * module.In;
        return options.Setting(this, Keep) is > 0 and var share
            ? (long)Math.Ceiling(share * all)
            : Math.Min(SparseMasks.LoraBudget(module, options.Rank), all);
    }

    /// <summary>
    /// Multiplies the change by the mask with which it was trained, so that a mask of ones gives it back.
    /// </summary>
    private static void FoldMask(AdaptedModule module)
    {
        Tensor change = module.Factors[DeltaMethod.Leaf].Master;
        using var mask = Tensor.Empty(change.Device, change.Shape);
        Combine.Run(module.Factors[Scores].Master, -1, change, 0, mask);
        ElementwiseMap.Forward(mask, mask, MapFunction.Exp);
        Combine.Run(mask, 1, module.Factors["ones"].Master, 1, mask);
        ElementwiseMap.Forward(mask, mask, MapFunction.Reciprocal);
        BroadcastMultiply.Run(change, mask, change, Broadcast.PerElement);
    }

    private static void BeginMask(Tensor[] changes, Tensor[] scores, long count, double start)
    {
        foreach ((Tensor of, int[] places) in scores.Zip(LargestOfAll.Find(changes, count)))
        {
            float[] values = [.. Enumerable.Repeat((float)-start, checked((int)of.Count))];
            foreach (int place in places)
                values[place] = (float)start;
            of.CopyFrom(values);
        }
    }

    internal override bool ChoosesEntries(AdapterStep step) => step.Number == step.Total && !IsDone(step);

    /// <summary>Keeps the change of the entries with the largest scores.</summary>
    internal override IReadOnlyList<ChosenEntries> ChooseEntries(AdapterStep step)
    {
        Tensor[] scores = [.. step.Modules.Select(module => module.Factors[Scores].Master)];
        float least = scores.Min(of => of.ToArray().Min());
        // What is largest counts, not what is largest by magnitude.
        foreach (Tensor of in scores)
            of.CopyFrom(Array.ConvertAll(of.ToArray(), score => score - least));
        int[][] kept = LargestOfAll.Find(scores, step.Modules.Sum(module => Kept(module.Shape, module.Options)));
        return [.. step.Modules.Zip(kept, (module, places) => new ChosenEntries(places, ChangeAt(module, places)))];
    }

    private static float[] ChangeAt(AdaptedModule module, int[] places)
    {
        float[] all = module.Factors[DeltaMethod.Leaf].Master.ToArray();
        return Array.ConvertAll(places, place => all[place]);
    }
}
