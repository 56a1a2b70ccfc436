using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Where the energy ‖Δ‖_F² of an update lies in the base's singular vectors: T is the span of the first k, B its
/// orthogonal complement in R^out or R^in. The first letter is the left side. Shares add up to 1.
/// </summary>
/// <param name="K">Dimension of T.</param>
/// <param name="TopTop">‖U_kᵀ Δ V_k‖² / ‖Δ‖².</param>
/// <param name="TopBottom">From the rest of the inputs into the top outputs.</param>
/// <param name="BottomTop">From the top inputs into the rest of the outputs.</param>
/// <param name="BottomBottom">Outside both.</param>
/// <param name="RandomTopTop">What a random Δ has on average: (k/out)(k/in).</param>
/// <param name="RandomTopBottom">(k/out)(1 − k/in).</param>
/// <param name="RandomBottomTop">(1 − k/out)(k/in).</param>
/// <param name="RandomBottomBottom">(1 − k/out)(1 − k/in).</param>
/// <param name="Diagonal">Share of U_kᵀ Δ V_k's energy on its diagonal: scaling of the triplets as opposed to mixing
/// them. 1/k for a random Δ.</param>
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
    /// <summary>For several k, each at most the number of triplets known.</summary>
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
