using Spectral.Kernels;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class AroMethod : OptimizerMethod
{
    private const string Momentum = "momentum";
    private const string Base = "base";
    private const string Sign = "sign";
    private const string Sinkhorn = "sinkhorn";
    private const string Scale = "scale";

    public override string Name => "aro";

    public override string Formula =>
        "M ← βM + (1−β)g; R ← Q of QR(M f(RᵀM)ᵀ), R = I before the first step; θ ← θ − ηωθ − η·s·R f(RᵀM), f "
        + "Sinkhorn's normalisation or the sign; a matrix with more rows than columns is transposed";

    public override string Source =>
        "Gong et al., \"ARO: A New Lens On Matrix Optimization For Large Models\", 2026, arXiv 2602.09006; the factor "
        + "s and the transposition are this project's";

    public override string Use =>
        "A step of equal size for all entries, not in the coordinates of the matrix but in those that the momentum "
        + "itself suggests. The rotation is that of the smaller side: its square comes on top of the momentum. Five "
        + "matrix products and a QR factorisation a step. Vectors and matrices with a single row or column train with "
        + "AdamW.";

    public override string? GraphRefusal => "checks on the host that its rotation is one";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Momentum, 0.95, 0, 0.9999, "Share β of the past steps that is left."),
        Setting.Choice(
            Base,
            "Rule f in the rotated frame: five times the rows and then the columns to equal norms, or the sign.",
            Sinkhorn,
            Sign
        ),
        new(Scale, 0.2, 1e-6, 1e6, "Factor s of a step; 0.2 makes it about as large as AdamW's at the same rate."),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings)
    {
        if (!IsMatrix(shape))
            return 8 * shape.Count;
        long side = Math.Min(shape[0], shape[1]);
        return 4 * (shape.Count + (side * side));
    }

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        int[] matrices = [.. Enumerable.Range(0, parameters.Count).Where(i => IsMatrix(parameters[i].Shape))];
        (float momentum, float scale) = ((float)run.Setting(Momentum), (float)run.Setting(Scale));
        RotatedDescent[] rotated =
        [
            .. matrices.Select(index => new RotatedDescent(
                run,
                index,
                run.PerParameter(Momentum, parameters[index]),
                momentum,
                scale,
                run.Chose(Base, Sinkhorn)
            )),
        ];
        AdamWPart rest = new(run, Enumerable.Range(0, parameters.Count).Except(matrices));
        return new OptimizerRule(() =>
        {
            (long step, _, bool skipped) = run.StepState.Read();
            if (skipped)
                return;
            foreach (RotatedDescent matrix in rotated)
                matrix.Update(isFirst: step == 1);
            rest.Update();
        });
    }
}
