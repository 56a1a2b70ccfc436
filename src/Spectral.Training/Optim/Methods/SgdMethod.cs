using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class SgdMethod : OptimizerMethod
{
    private const string Momentum = "momentum";

    public override string Name => "sgd";

    public override string Formula => "m ← μm + g; θ ← θ − ηωθ − ηm";

    public override string Source =>
        "Robbins, Monro, 1951; momentum of Polyak, 1964; as in PyTorch, without dampening and Nesterov, with decoupled "
        + "weight decay";

    public override string Use =>
        "The least memory and the simplest rule. It needs a larger rate than AdamW, and one that is tuned.";

    public override OptimizerUses Uses => OptimizerUses.DecayAndClip;

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Momentum, 0.9, 0, 0.9999, "Share μ of the past steps that is left; 0: no momentum and no state.")];

    internal override bool ActsOnElements => true;

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        ValueOf(Momentum, settings) > 0 ? 4 * shape.Count : 0;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        ParameterSet parameters = run.Parameters;
        float momentum = (float)run.Setting(Momentum);
        IReadOnlyList<Tensor>? sums = momentum > 0 ? run.PerBuffer(Momentum) : null;
        return new OptimizerRule(() =>
        {
            for (int i = 0; i < parameters.Masters.Count; i++)
            {
                Sgd.Step(
                    parameters.Masters[i],
                    parameters.Gradients[i],
                    sums?[i],
                    momentum,
                    run.StepState,
                    (float)parameters.Rates[i]
                );
            }
        });
    }
}
