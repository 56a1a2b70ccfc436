using System.Numerics.Tensors;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class SlerpMerge : OneModelMerge
{
    private const string At = "t";

    // Below this angle sin ω loses its digits, and line and arc are the same to F32.
    private const double SmallestAngle = 1e-6;

    public override string Name => "slerp";

    public override string Formula =>
        "θ = sin((1 − t) ω) / sin ω · θ_1 + sin(t ω) / sin ω · θ_2, ω the angle between θ_1 and θ_2 of each tensor";

    public override string Source => "Shoemake, \"Animating Rotation with Quaternion Curves\", 1985";

    public override string Use =>
        "Goes from the first input to the second along the arc, on whole weights, so that norms do not shrink on the "
        + "way. Where the angle is below 1e-6, or 1e-6 short of opposite, it goes along the line.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(At, 0.5, 0, 1, "How far to go: 0 is the first input, 1 the second.")];

    public override int LeastInputs => 2;

    public override int MostInputs => 2;

    public override bool DependsOnOrder => true;

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            (float first, float second) = Factors(tensor, run.Setting(At));
            return (piece, result) =>
            {
                TensorPrimitives.Multiply(piece.Values(0), first, result);
                TensorPrimitives.MultiplyAdd(piece.Values(1), second, result, result);
            };
        };

    private static (float First, float Second) Factors(MergeTensor tensor, double t)
    {
        double[] sums = tensor.Sum(
            3,
            (piece, sums) =>
            {
                ReadOnlySpan<float> a = piece.Values(0);
                ReadOnlySpan<float> b = piece.Values(1);
                for (int i = 0; i < a.Length; i++)
                {
                    sums[0] += (double)a[i] * a[i];
                    sums[1] += (double)b[i] * b[i];
                    sums[2] += (double)a[i] * b[i];
                }
            }
        );
        double angle = Math.Acos(Math.Clamp(sums[2] / Math.Sqrt(sums[0] * sums[1]), -1, 1));
        double sine = Math.Sin(angle);
        return angle > SmallestAngle && sine > SmallestAngle
            ? ((float)(Math.Sin((1 - t) * angle) / sine), (float)(Math.Sin(t * angle) / sine))
            : ((float)(1 - t), (float)t);
    }
}
