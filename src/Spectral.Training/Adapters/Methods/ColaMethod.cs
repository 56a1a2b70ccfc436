using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// COLA, chain of LoRA: a LoRA is trained and frozen, and a fresh one begins on the weight so changed. Frozen terms are
/// kept beside the base; the adapter is the sum of all terms.
/// </summary>
internal sealed class ColaMethod : AdapterMethod
{
    private const string A = "cola_A";
    private const string B = "cola_B";

    public override string Name => "cola";
    public override string Formula =>
        "W + (alpha/rank)·(Σ B_i·A_i + B·A): after every 1/rounds of the run B·A is frozen, B set to "
        + "zero, A drawn again and the optimizer's moments reset";
    public override string Source => "Xia, Qin and Hazan, 2024, arXiv 2401.04151";
    public override string Use =>
        "A change of higher rank with the optimizer state of a low one. Terms already frozen cost "
        + "time in forward: rank·rounds in all, from the beginning.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [AdapterSetting.Whole("rounds", 3, 1, 64, "Number of LoRAs trained one after another.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (LowRankTerm term, int finished) = (
            LoraMethod.Term(layer, layer.Rank),
            ((int)layer.Setting("rounds") - 1) * layer.Rank
        );
        return new AdapterForm
        {
            Terms =
                finished == 0
                    ? [term]
                    :
                    [
                        new(layer.Frozen(B, (layer.Out, finished)), layer.Frozen(A, (finished, layer.In)), term.Scale),
                        term,
                    ],
        };
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        int rounds = (int)step.Options.Setting(this, "rounds");
        int done = (int)((long)step.Number * rounds / step.Total);
        if (done == (int)((step.Number - 1L) * rounds / step.Total) || done >= rounds)
            return false;
        foreach (AdaptedModule module in step.Modules)
        {
            (IReadOnlyDictionary<string, Optim.Parameter> factors, int rank) = (module.Factors, module.Options.Rank);
            (Kernels.Tensor left, Kernels.Tensor right) = (factors[LoraNames.B].Master, factors[LoraNames.A].Master);
            CopyBlock.Run(left, factors[B].Master, 0, (done - 1) * rank);
            CopyBlock.Run(right, factors[A].Master, (done - 1) * rank, 0);
            left.Clear();
            Start.KaimingUniform.Fill(right, module.Options.Seed, RandomStream.For($"{module.Shape.Name}.{A}.{done}"));
        }
        step.Parameters.NotifyRestarted();
        return true;
    }
}
