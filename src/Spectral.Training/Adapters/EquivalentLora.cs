using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// Computes the plain LoRA that is equivalent to an adapter whose form is low-rank terms only: one L and one R for each
/// layer, with scale 1. The terms' values are those that the kernels read. The last product is computed in double and
/// rounded once.
/// </summary>
/// <param name="adapter">The adapter to convert.</param>
/// <param name="directory">The adapter's folder, for messages.</param>
/// <param name="model">The base model; null if the adapter's terms do not depend on it.</param>
internal sealed class EquivalentLora(AdapterReader adapter, string directory, ModelFolder? model = null)
{
    /// <summary>The rank of the LoRA, the largest rank of all layers.</summary>
    /// <exception cref="InputException">
    /// There is no equivalent LoRA, or its terms depend on the base weights.
    /// </exception>
    public int Rank
    {
        get
        {
            foreach (AdaptedModule module in adapter.Modules)
                Check(module, allowsBias: false);
            return adapter.Modules.Max(module => module.Form.Rank);
        }
    }

    /// <summary>Checks that a layer has an equivalent LoRA.</summary>
    /// <param name="module">The adapted layer.</param>
    /// <param name="allowsBias">Whether a bias may train in addition to the method's change.</param>
    /// <exception cref="InputException">A layer has none, or its terms depend on the base weights.</exception>
    public void Check(AdaptedModule module, bool allowsBias)
    {
        // Files of LoRA store such a bias as the adapter's own files do.
        AdapterForm form = allowsBias && module.TrainsBias ? module.Form with { Bias = null } : module.Form;
        if (!form.IsLowRank)
        {
            throw new InputException(
                $"{directory}: the {adapter.Method.Name} adapter of {module.Shape.Name} "
                    + $"is no plain LoRA's equal: {Reason(form)}; "
                    + (module.Form.IsMergeable ? "merge it instead (spectral merge)" : "it can only be used as it is")
            );
        }

        if (model is null && (module.ReadsWeight || adapter.LacksStart))
        {
            throw new InputException(
                $"{directory}: the terms of a {adapter.Method.Name} adapter follow from the base weights; "
                    + "expected --model, the model it was trained on"
            );
        }
    }

    /// <summary>Computes L [out, rank] and R [rank, in] of one layer, padded with zeros.</summary>
    public (float[] Left, float[] Right) Factors(AdaptedModule module, int rank, Device device) =>
        Evaluate(module, device, form => (Left(form, rank, module.Shape.Out), Right(form, rank, module.Shape.In)));

    /// <summary>
    /// Computes the form of one layer and reads results from it. Its tensors are disposed afterwards.
    /// </summary>
    public T Evaluate<T>(AdaptedModule module, Device device, Func<AdapterForm, T> read)
    {
        ModuleShape shape = module.Shape;
        bool readsBase = module.ReadsWeight || adapter.LacksStart;
        using BoundFactors factors = new(device, [module]);
        using Parameter? weight = readsBase
            ? new Parameter(
                shape.Name + ".weight",
                Tensor.From(device, adapter.ReadBase(model!, module, device), (shape.Out, shape.In))
            )
            : null;
        using Parameter? bias =
            readsBase && shape.HasBias
                ? new Parameter(
                    shape.Name + ".bias",
                    Tensor.From(device, adapter.BaseOf(model!, shape.Name + ".bias").ToFloats(), shape.Out)
                )
                : null;
        adapter.Fill([module], _ => weight!);
        if (readsBase)
            module.BindBase(new Linear(shape.Name, weight!, bias));
        ExpressionGraph graph = new(module.Form.Outputs, 0);
        try
        {
            return read(module.Form);
        }
        finally
        {
            graph.Clear();
        }
    }

    /// <summary>Returns R = [R1; R2; …; 0], [rank, in]. The terms' scales are all in the left factor.</summary>
    public static float[] Right(AdapterForm form, int rank, int inputs)
    {
        float[] right = new float[(long)rank * inputs];
        int at = 0;
        foreach (LowRankTerm term in form.Terms)
        {
            term.Right.Value.ToArray().CopyTo(right, at * inputs);
            at += term.Rank;
        }
        return right;
    }

    /// <summary>Returns L = [s1·L1·diag(c1), s2·L2·diag(c2), …, 0], [out, rank].</summary>
    public static float[] Left(AdapterForm form, int rank, int outputs)
    {
        float[] left = new float[(long)outputs * rank];
        int at = 0;
        foreach (LowRankTerm term in form.Terms)
        {
            float[] values = term.Left.Value.ToArray();
            float[]? middle = term.Middle?.Value.ToArray();
            for (int row = 0; row < outputs; row++)
            {
                for (int column = 0; column < term.Rank; column++)
                {
                    left[(row * rank) + at + column] = (float)(
                        term.Scale * (middle?[column] ?? 1.0) * values[(row * term.Rank) + column]
                    );
                }
            }

            at += term.Rank;
        }
        return left;
    }

    private static string Reason(AdapterForm form) =>
        form switch
        {
            { Rectified: true } => "there is a rectifier between its factors",
            { Change: not null } => "what it adds differs from token to token",
            { Weight: not null } => "it replaces the weight instead of adding low-rank terms",
            { Subtracted: not null } =>
                "its base is rounded without a part of its own, and from the original weights that "
                    + "differs in every entry, which no low-rank term can have",
            { Entries.Count: > 0 } => "it changes single entries of the weight",
            { OutputScale: not null } => "it scales outputs",
            { InputScale: not null } => "it scales inputs",
            { Bias: not null } => "it changes biases",
            _ => "it has no low-rank terms",
        };
}
