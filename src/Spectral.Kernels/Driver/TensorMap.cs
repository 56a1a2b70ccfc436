using System.Runtime.InteropServices;

namespace Spectral.Kernels.Driver;

/// <summary>
/// A CUtensorMap: what the bulk tensor copies of Hopper GPUs know of a matrix. Its bits are the driver's affair.
/// Argument structs carry maps first; encoding one costs the host well under a microsecond and no managed memory, so
/// maps are made anew for each launch.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
public struct TensorMap
{
    private const int Bytes = 128;
    private const int Alignment = 64;
    private const int BFloat16 = 9;
    private const int NoInterleave = 0;
    private const int Swizzle128 = 3;
    private const int Promote256 = 3;
    private const int FillWithZero = 0;

    /// <summary>Columns of a box: one row of the 128-byte swizzle.</summary>
    public const int BoxColumns = 64;

    private ulong _first;

    /// <summary>Whether a BF16 matrix of this width can be mapped at all: rows of whole 16-byte units.</summary>
    public static bool Fits(int columns) => columns > 0 && columns % 8 == 0;

    /// <summary>
    /// A BF16 matrix [rows, columns] that is copied in boxes of <paramref name="boxRows"/> × 64, 128-byte swizzled;
    /// beyond it there are zeros.
    /// </summary>
    /// <param name="device">The device whose driver encodes.</param>
    /// <param name="pointer">The first element, 16-byte aligned.</param>
    /// <param name="rows">Rows, at least 1.</param>
    /// <param name="columns">Columns, a multiple of 8.</param>
    /// <param name="rowStride">Elements from row to row, a multiple of 8.</param>
    /// <param name="boxRows">1 … 256.</param>
    /// <exception cref="CudaException">The driver refuses the matrix.</exception>
    public static unsafe TensorMap Encode(
        Device device,
        ulong pointer,
        int rows,
        int columns,
        long rowStride,
        int boxRows
    )
    {
        byte* memory = stackalloc byte[Bytes + Alignment];
        var map = (TensorMap*)(((nuint)memory + Alignment - 1) / Alignment * Alignment);
        ulong* sizes = stackalloc ulong[2] { (ulong)columns, (ulong)rows };
        ulong stride = (ulong)rowStride * 2;
        uint* box = stackalloc uint[2] { BoxColumns, (uint)boxRows };
        uint* steps = stackalloc uint[2] { 1, 1 };
        DriverApi api = device.Activate();
        api.Check(
            api.TensorMapEncodeTiled(
                map,
                BFloat16,
                2,
                pointer,
                sizes,
                &stride,
                box,
                steps,
                NoInterleave,
                Swizzle128,
                Promote256,
                FillWithZero
            ),
            $"mapping a matrix [{rows}, {columns}] with rows {rowStride} apart at {pointer:x}"
        );
        return *map;
    }
}
