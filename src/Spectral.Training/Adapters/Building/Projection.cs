using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Takes out of a matrix what lies in the span of orthonormal directions, on the device and without waiting for it.
/// </summary>
/// <remarks>
/// Each projection is made twice. The first leaves a part of the size of rounding relative to what it removed; the
/// second removes that too, so that what remains is rounding relative to the result (Parlett, "The Symmetric Eigenvalue
/// Problem", 1980, "twice is enough").
/// </remarks>
internal static class Projection
{
    private const int Times = 2;

    /// <summary>Replaces X by X − Q Qᵀ X, so that its columns are orthogonal to those of Q.</summary>
    /// <param name="x">X [n, m], F32; changed in place.</param>
    /// <param name="basis">Q [n, k] with orthonormal columns, some of which may be zero; F32.</param>
    public static void RemoveColumns(Tensor x, Tensor basis)
    {
        using var share = Tensor.Empty(x.Device, (basis.Dim(1), x.Dim(1)));
        for (int i = 0; i < Times; i++)
        {
            Gemm.Run(Gemm.Transposed(basis), x, share);
            Gemm.Run(basis, share, x, -1, 1);
        }
    }

    /// <summary>Replaces X by X − X Qᵀ Q, so that its rows are orthogonal to those of Q.</summary>
    /// <param name="x">X [m, n], F32; changed in place.</param>
    /// <param name="basis">Q [k, n] with orthonormal rows, some of which may be zero; F32.</param>
    public static void RemoveRows(Tensor x, Tensor basis)
    {
        using var share = Tensor.Empty(x.Device, (x.Dim(0), basis.Dim(0)));
        for (int i = 0; i < Times; i++)
        {
            Gemm.Run(x, Gemm.Transposed(basis), share);
            Gemm.Run(share, basis, x, -1, 1);
        }
    }
}
