using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Calibration;

/// <summary>
/// Adds XᵀX of each record's inputs X to a sum [in, in] F32: one GEMM per record, 2·tokens·in² operations.
/// </summary>
/// <param name="sum">The sum to add to, [in, in] F32.</param>
/// <param name="rows">Returns the rows of the current batch.</param>
internal sealed class InputProductObserver(Tensor sum, Func<TokenRows> rows) : LinearObserver
{
    public override void Forward(Tensor x)
    {
        foreach ((int start, int count) in rows().Records)
        {
            using Tensor record = x.Rows(start, count);
            Gemm.Run(Gemm.Transposed(record), record, sum, 1, 1);
        }
    }
}
