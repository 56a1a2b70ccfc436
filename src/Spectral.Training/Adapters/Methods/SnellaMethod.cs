using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SNELLA: SNELL with a trained mixture of kernels, and with a number of entries for each layer in proportion to its
/// importance, which is measured while training. The number over all layers falls as AdaLoRA's budget does.
/// </summary>
internal sealed class SnellaMethod : AdapterMethod
{
    private const string Alpha = "snella_alpha";
    private const string Beta = "snella_beta";
    private const string Gamma = "snella_gamma";
    private const string Share = "snella_share";

    private const string FirstSparsity = "first-sparsity";
    private const string Begin = "begin";
    private const string Finish = "finish";
    private const string Interval = "interval";
    private const string Beta1 = "beta1";
    private const string Beta2 = "beta2";

    private const double SmallestGamma = 0.01; // keeps the exponents of the softmax within F32

    public override string Name => "snella";
    public override string Formula =>
        "W + soft(D + α·softmax(D/γ) + β; t), D as in snell, softmax over the outputs; t passed by a share of the "
        + "entries of all layers in proportion to the layer's importance";
    public override string Source =>
        "Shen et al., \"Kernelized Sparse Fine-Tuning with Bi-level Parameter Competition\", 2025, arXiv 2510.24037";
    public override string Use =>
        "SNELL that finds out which layers need entries. The importance is AdaLoRA's, of the factors. Costs a few more "
        + "passes over each matrix than snell. --alpha is not used.";
    public override bool StartsAtBase => false;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        SparseKernel.Sparsity,
        new(FirstSparsity, 0, 0, 0.9999999, "Share of the entries that are zero at the beginning."),
        SparseKernel.Heads,
        SparseKernel.Scale,
        new(Begin, 0.1, 0, 1, "Share of the run's steps before layers get numbers of their own."),
        new(Finish, 0.3, 0, 1, "Share of the run's steps at the end, in which the numbers stay."),
        AdapterSetting.Whole(Interval, 10, 1, 1000000, "Steps from one sharing out to the next."),
        new(Beta1, 0.85, 0, 0.9999, "Decay of the running mean of importance."),
        new(Beta2, 0.85, 0, 0.9999, "Decay of the running mean of its uncertainty."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (Factor left, Factor right) = SparseKernel.Declare(layer);
        Factor alpha = layer.Trained(Alpha, 1, Start.Ones);
        Factor beta = layer.Trained(Beta, 1);
        Factor gamma = layer.Trained(Gamma, 1, Start.Ones);
        Factor threshold = layer.Frozen(SparseKernel.Threshold, 1);
        layer.State(Share, 1, Start.Of(1 - layer.Setting(FirstSparsity)));
        Sensitivity.Declare(layer, left, right);
        Expression change = Change(left, right, alpha, beta, gamma, layer.Options);
        return new AdapterForm { Weight = layer.Weight.Add(SparseKernel.Soft(change, threshold, left, right)) };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
            Adjust(start.Factors, start.Module, start.Options);
    }

    public override void BeforeUpdate(AdapterStep step)
    {
        if (step.Number > Phases(step).Last)
            return;
        (double beta1, double beta2) = (step.Options.Setting(this, Beta1), step.Options.Setting(this, Beta2));
        foreach (IReadOnlyDictionary<string, Parameter> factors in step.Modules.Select(module => module.Factors))
        {
            Sensitivity.Update(factors, SparseKernel.Left, beta1, beta2);
            Sensitivity.Update(factors, SparseKernel.Right, beta1, beta2);
        }
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        (int first, int last) = Phases(step);
        bool isDue = step.Number % (int)step.Options.Setting(this, Interval) == 0;
        if (step.Number > first && (step.Number == last || (step.Number < last && isDue)))
            ShareOut(step, Math.Pow(1 - (step.Number - first) / (double)(last - first), 3));
        foreach (AdaptedModule module in step.Modules)
            Adjust(module.Factors, module.Shape, module.Options);
        return true;
    }

    /// <summary>
    /// Gives each layer its share of the entries: of the final number, plus a part of those beyond it.
    /// </summary>
    private void ShareOut(AdapterStep step, double part)
    {
        double target = 1 - step.Options.Setting(this, SparseKernel.Sparsity.Name);
        double share = target + ((1 - step.Options.Setting(this, FirstSparsity) - target) * part);
        long[] sizes = [.. step.Modules.Select(module => (long)module.Shape.Out * module.Shape.In)];
        long[] counts = ProportionalBudget.Share(
            [.. step.Modules.Select(module => Importance(module.Factors))],
            sizes,
            (long)Math.Round(share * sizes.Sum())
        );
        for (int i = 0; i < counts.Length; i++)
            step.Modules[i].Factors[Share].Master.CopyFrom([(float)((double)counts[i] / sizes[i])]);
    }

    private static double Importance(IReadOnlyDictionary<string, Parameter> factors) =>
        Sensitivity.Scores(factors, SparseKernel.Left, Broadcast.PerRow).Average()
        + Sensitivity.Scores(factors, SparseKernel.Right, Broadcast.PerRow).Average();

    private void Adjust(IReadOnlyDictionary<string, Parameter> factors, ModuleShape module, AdapterOptions options) =>
        SparseKernel.Adjust(
            factors,
            factor =>
                Change(
                    factor(SparseKernel.Left),
                    factor(SparseKernel.Right),
                    factor(Alpha),
                    factor(Beta),
                    factor(Gamma),
                    options
                ),
            SparseKernel.Count(module, factors[Share].Master.ToArray()[0])
        );

    private Expression Change(
        Factor left,
        Factor right,
        Factor alpha,
        Factor beta,
        Factor gamma,
        AdapterOptions options
    )
    {
        Expression distances = SparseKernel.Distances(
            left,
            right,
            (int)options.Setting(this, SparseKernel.Heads.Name),
            options.Setting(this, SparseKernel.Scale.Name)
        );
        Expression exponents = distances.Multiply(gamma.Max(SmallestGamma).Reciprocal(), Broadcast.Single).Exp();
        Expression sums = SparseKernel.Ones(left).MatMul(exponents, transposeA: true);
        Expression softmax = exponents.ScaleColumns(sums.Reshape(right.Shape[0]).Reciprocal());
        Expression everywhere = SparseKernel
            .Ones(left)
            .Multiply(beta, Broadcast.Single)
            .MatMul(SparseKernel.Ones(right), transposeB: true);
        return distances.Add(softmax.Multiply(alpha, Broadcast.Single)).Add(everywhere);
    }

    /// <summary>Returns the last step before layers get numbers of their own, and that of the last sharing.</summary>
    private (int First, int Last) Phases(AdapterStep step)
    {
        int first = Math.Min((int)(step.Options.Setting(this, Begin) * step.Total), step.Total - 1);
        return (first, Math.Max(first + 1, step.Total - (int)(step.Options.Setting(this, Finish) * step.Total)));
    }
}
