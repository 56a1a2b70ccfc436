using System.Globalization;
using System.Text;
using Spectral.Kernels;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>
/// <c>docs/optimizers.md</c> is generated from the optimizers' own descriptions. After a change of one, run this test
/// with SPECTRAL_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class OptimizersDocumentTests
{
    private static readonly Shape Factor = (4096, 8);
    private static readonly Dictionary<string, double> NoSettings = [];

    [Test]
    public void TheDocumentIsWhatTheOptimizersSay() => GeneratedDocument.Verify("optimizers.md", Document());

    [Test]
    public void EveryOptimizerSaysWhatItIsForAndWhereItIsFrom() =>
        GeneratedDocument.VerifyDescriptions(OptimizerMethods.All);

    private static string Document()
    {
        var text = new StringBuilder(
            """
            # Optimizers

            `spectral finetune` and `spectral pretrain` train with `--optimizer NAME`; `adamw` is the default.
            `spectral methods --optimizers` shows the table below, and `--optimizers NAME` everything about one. An
            optimizer's own settings are given as `--set optimizer.NAME=VALUE`. A test writes this file from the
            optimizers' own descriptions.

            θ is a parameter, g its gradient, η the learning rate of the step (`--lr`, `--schedule`, `--warmup`, times
            the parameter's factor with `--lr-ratio`), ω the weight decay (`--weight-decay`), t the number of the step.
            Weight decay is decoupled in all of them: it shrinks θ by ηω and never enters g. `--beta1`, `--beta2` and
            `--eps` go to the optimizers that have them; an option that the chosen one does not read is refused.

            What they have in common:

            * **Precision.** Masters, gradients and state are F32 unless stated otherwise, also where the model computes
              in BF16.
            * **Clipping.** With `--grad-clip c`, g is scaled by min(1, c / (‖g‖ + 1e-6)), where ‖g‖ is the norm over
              all that trains. The norm that is logged is that before clipping.
            * **Groups.** `--clip-groups component` clips the gradients of each kind of module (`q_proj`, `up_proj`,
              … of all layers together) by the norm of its own, `--clip-groups layer` those of each layer, and
              `--clip-groups 'REGEX=C,…'` those of the modules whose names end as an expression says, up to C; the
              rest is a group of its own with `--grad-clip`. It works with every optimizer that clips.
              `train_log.jsonl` has the norm of each group before clipping (`group_norms`).
            * **Randomised products.** With `--rmm X` the gradients of weights are computed from a share X of the
              rows of a layer's input, one from each of equal strata, drawn anew for each layer and micro-batch.
              Only these rows are kept after forward. The mean over the draws is the exact gradient; gradients of
              activations, of biases and of a term's left factor are exact. The output head's own gradient is exact
              as well. Not with `--dropout`.
            * **A budget of tensors.** With `--flop-budget X` (GreenTrainer, arXiv 2309.13192) all tensors train in
              the first of every `--flop-interval` steps, which measures Σ∣g·Δθ∣ of each. In the others only those
              train that have the largest sum, by dynamic programming, among the sets whose gradients take at most
              the share X of the operations of all. The others stay as they are with their state, to the bit.
              Backward ends at the lowest tensor that trains; above it, products are saved for the weights of linear
              layers and the factors of an adapter, and gradients of other tensors are computed and dropped. What is
              kept aside in a step takes as much memory as the masters and
              the state of the tensors that do not train. Not with `--graph`.
            * **Skipped steps.** If a loss or the norm is not finite, nothing changes: neither parameters nor state nor
              the number of steps that bias corrections count. Only `mezo` and `es` move the parameters to measure
              losses, and bring them back up to rounding.
            * **Resuming.** Checkpoints hold the whole state under its own names, so that `--resume` ends with the same
              bits. The state of another optimizer is refused.
            * **Captured steps.** `--graph` works unless the table says otherwise, and changes no bit.

            The memory is that of the state for a factor of 4096 x 8, in bytes for each parameter. Master and gradient
            take 8 more. Where both factors of a pair share their state, its bytes are given for the pair of a weight
            [out, in].

            | optimizer | bytes/parameter | options | `--graph` | source |
            | --- | --- | --- | --- | --- |

            """
        );
        foreach (OptimizerMethod method in OptimizerMethods.All)
            text.Append(Row(method));
        foreach (OptimizerMethod method in OptimizerMethods.All)
            text.Append(GeneratedDocument.Section(method, Graph(method), group: "optimizer."));
        return text.ToString();
    }

    private static string Row(OptimizerMethod method)
    {
        string bytes = ((double)method.StateBytes(Factor, NoSettings) / Factor.Count).ToString(
            "0.##",
            CultureInfo.InvariantCulture
        );
        string ofPair = method.PairStateBytes is { } formula ? $"; {formula} a pair" : "";
        return $"| [{method.Name}](#{method.Name}) | {bytes}{ofPair} | {string.Join(", ", Options(method))} | "
            + $"{(method.GraphRefusal is null ? "yes" : "no")} | {method.Origin} |\n";
    }

    private static IEnumerable<string> Options(OptimizerMethod method)
    {
        if (method.Uses.HasFlag(OptimizerUses.Beta1))
            yield return "`--beta1`";
        if (method.Uses.HasFlag(OptimizerUses.Beta2))
            yield return "`--beta2`";
        if (method.Uses.HasFlag(OptimizerUses.Epsilon))
            yield return "`--eps`";
        if (method.Uses.HasFlag(OptimizerUses.WeightDecay))
            yield return "`--weight-decay`";
        if (method.Uses.HasFlag(OptimizerUses.GradientClip))
            yield return "`--grad-clip`";
    }

    private static string? Graph(OptimizerMethod method) =>
        method.GraphRefusal is { } refusal ? $"No `--graph`: it {refusal}." : null;
}
