using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Calibration;

/// <summary>
/// Adds XᵀX / max|X|² of each record's inputs X to a sum [in, in] F32: one GEMM per record, 2·tokens·in² operations.
/// </summary>
/// <param name="name">The name of the layer, for messages.</param>
/// <param name="sum">The sum to add to, [in, in] F32.</param>
/// <param name="factor">The factor on every record's contribution: 1/records for a mean.</param>
/// <param name="rows">Returns the rows of the current batch.</param>
internal sealed class SecondMomentObserver(string name, Tensor sum, double factor, Func<TokenRows> rows)
    : LinearObserver
{
    public override void Forward(Tensor x)
    {
        foreach ((int start, int count) in rows().Records)
        {
            using Tensor record = x.Rows(start, count);
            double largest = MatrixScan.Run(record).Largest;
            if (!double.IsFinite(largest))
                throw new InputException($"calibration: the input of {name} is not finite");
            if (largest == 0)
                continue;
            Gemm.Run(Gemm.Transposed(record), record, sum, (float)(factor / (largest * largest)), 1);
        }
    }
}
