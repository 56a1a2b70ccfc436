using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Orthogonal subspace fine-tuning: the leading singular triplets of W stay as they are, and the others train in the
/// orthogonal complement. A further task takes new triplets of the changed weight. Files hold the trained triplets
/// alone, as PEFT's do; the leading ones are computed again from the base.
/// </summary>
/// <remarks>
/// Projected gradients would not be enough, since Adam divides each entry by another number. So the factors are
/// projected after each step too. Weight decay only shortens what trains.
/// </remarks>
internal sealed class OsfMethod : AdapterMethod
{
    private const string U = "osf_svd_params.U_low";
    private const string S = "osf_svd_params.S_low";
    private const string V = "osf_svd_params.V_low";
    private const string LeadingU = "osf_U_high";
    private const string LeadingV = "osf_V_high";

    // Below 1, PEFT takes the setting for a share of the smaller dimension.
    private static readonly AdapterSetting Kept = new(
        "effective-rank",
        0.5,
        1e-6,
        1 << 16,
        "Leading singular triplets that stay as they are: their number, or below 1 a share of the smaller dimension."
    )
    {
        PeftKey = "effective_rank",
        PeftPatternKey = "rank_pattern",
    };

    public override string Name => "osf";
    public override string Formula =>
        "U_h·U_hᵀ·W + U·diag(s)·V, U and V kept orthogonal to the leading singular vectors U_h and V_h of W";
    public override string Source => "Nayak et al., 2025, arXiv 2504.07097";
    public override string Use =>
        "One task after another: what the weight does most stays exactly as it is. Trains about as much as full "
        + "fine-tuning, and computes every weight anew in each step.";
    public override TaskSequence Sequence => TaskSequence.FoldedBase;
    public override bool ActsBetweenSteps => true;
    public override IReadOnlyList<AdapterSetting> Settings { get; } = [Kept];
    internal override string StartTensor => LeadingU;

    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [PeftField.Start("init_weights"), .. PeftField.Ignored("target_svd_config")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int all = Math.Min(layer.Out, layer.In);
        int high = Leading(layer.Setting(Kept.Name), all);
        if (high < 1 || high >= all)
        {
            throw new InputException(
                $"{Kept.Name} {layer.Setting(Kept.Name)} for {layer.Module.Name}, which is [{layer.Out}, {layer.In}]: "
                    + $"keeps {high} singular triplets, expected 1 to {all - 1}"
            );
        }

        int low = all - high;
        Factor u = layer.Trained(U, (layer.Out, low));
        Factor s = layer.Trained(S, low);
        Factor v = layer.Trained(V, (low, layer.In));
        Factor leading = layer.RecomputedState(LeadingU, (layer.Out, high));
        layer.RecomputedState(LeadingV, (high, layer.In));
        Expression kept = leading.MatMul(leading.MatMul(layer.Weight, transposeA: true));
        return new AdapterForm { Weight = kept.Add(u.ScaleColumns(s).MatMul(v)) };
    }

    /// <summary>
    /// Takes the number of triplets from the tensors: PEFT searches the patterns of its config anywhere in a name.
    /// </summary>
    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape)
    {
        if (shape(U) is not [var outputs, var low] || shape(V) is not [_, var inputs])
            return options;
        int all = (int)Math.Min(outputs, inputs);
        int high = all - (int)low;
        return Leading(options.Setting(this, Kept.Name), all) == high ? options : options.With(Kept.Name, high);
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            using SvdResult svd = Svd.Compute(
                start.Frozen,
                Math.Min(start.Module.Out, start.Module.In),
                SvdMethod.Exact
            );
            int high = start[LeadingU].Dim(1);
            int[] low = [.. Enumerable.Range(high, start[S].Dim(0))];
            int[] leading = [.. Enumerable.Range(0, high)];
            svd.CopyLeft(start[U], low, _ => 1);
            svd.CopyRight(start[V], low, _ => 1);
            start[S].CopyFrom(svd.S.ToArray()[high..]);
            svd.CopyLeft(start[LeadingU], leading, _ => 1);
            svd.CopyRight(start[LeadingV], leading, _ => 1);
            start.Release();
        }
    }

    public override void BeforeUpdate(AdapterStep step) => Project(step, parameter => parameter.Gradient!);

    public override bool AfterUpdate(AdapterStep step)
    {
        Project(step, parameter => parameter.Master);
        return true;
    }

    private static void Project(AdapterStep step, Func<Parameter, Kernels.Tensor> part)
    {
        foreach (IReadOnlyDictionary<string, Parameter> factors in step.Modules.Select(module => module.Factors))
        {
            Projection.RemoveColumns(part(factors[U]), factors[LeadingU].Master);
            Projection.RemoveRows(part(factors[V]), factors[LeadingV].Master);
        }
    }

    private static int Leading(double setting, int all) => (int)(setting < 1 ? all * setting : setting);
}
