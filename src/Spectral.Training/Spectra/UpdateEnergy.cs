using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// The distribution of an update's energy ‖Δ‖_F² over the base's singular vectors. T is the span of the first k
/// vectors, B its orthogonal complement, in R^out or R^in. The first part of a name is the left side. The shares add up
/// to 1.
/// </summary>
/// <param name="K">The dimension k of T.</param>
/// <param name="TopTop">The share from top inputs into top outputs, ‖U_kᵀ Δ V_k‖² / ‖Δ‖².</param>
/// <param name="TopBottom">The share from the rest of the inputs into the top outputs.</param>
/// <param name="BottomTop">The share from the top inputs into the rest of the outputs.</param>
/// <param name="BottomBottom">The share outside both.</param>
/// <param name="RandomTopTop">The average share of a random Δ, (k/out)(k/in).</param>
/// <param name="RandomTopBottom">The average share of a random Δ, (k/out)(1 − k/in).</param>
/// <param name="RandomBottomTop">The average share of a random Δ, (1 − k/out)(k/in).</param>
/// <param name="RandomBottomBottom">The average share of a random Δ, (1 − k/out)(1 − k/in).</param>
/// <param name="Diagonal">
/// The share of the energy of U_kᵀ Δ V_k on its diagonal, which scales triplets instead of mixing them; 1/k for a
/// random Δ.
/// </param>
public sealed record UpdateEnergy(
    int K,
    double TopTop,
    double TopBottom,
    double BottomTop,
    double BottomBottom,
    double RandomTopTop,
    double RandomTopBottom,
    double RandomBottomTop,
    double RandomBottomBottom,
    double Diagonal
)
{
    /// <summary>Computes the shares for several k, each at most the number of known triplets.</summary>
    internal static UpdateEnergy[] Of(MatrixPair pair, IReadOnlyList<int> ranks)
    {
        if (ranks.Count == 0)
            return [];
        int most = ranks[^1];
        HostMatrix leftImages = pair.Base.Left.TakeRows(most).TimesTransposed(pair.Update.Transposed()); // Δᵀ u_i
        HostMatrix core = leftImages.TimesTransposed(pair.Base.Right.TakeRows(most)); // u_iᵀ Δ v_j
        double all = pair.Update.SquaredNorm();
        return [.. ranks.Select(k => Of(core, leftImages, pair.RightImages, all, k, pair.Out, pair.In))];
    }

    private static UpdateEnergy Of(
        HostMatrix core,
        HostMatrix leftImages,
        HostMatrix rightImages,
        double all,
        int k,
        int outputs,
        int inputs
    )
    {
        double topTop = 0;
        double diagonal = 0;
        for (int i = 0; i < k; i++)
        {
            topTop += HostMatrix.Dot(core.Row(i)[..k], core.Row(i)[..k]);
            diagonal += core[i, i] * core[i, i];
        }
        double topBottom = Math.Max(0, leftImages.TakeRows(k).SquaredNorm() - topTop);
        double bottomTop = Math.Max(0, rightImages.TakeRows(k).SquaredNorm() - topTop);
        double left = k / (double)outputs;
        double right = k / (double)inputs;
        return new UpdateEnergy(
            k,
            topTop / all,
            topBottom / all,
            bottomTop / all,
            Math.Max(0, all - topTop - topBottom - bottomTop) / all,
            left * right,
            left * (1 - right),
            (1 - left) * right,
            (1 - left) * (1 - right),
            diagonal / topTop
        );
    }
}
