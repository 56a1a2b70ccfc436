using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels.Interop;

/// <summary>
/// Describes a matrix to the bulk tensor copies of Hopper GPUs (CUtensorMap); only the driver knows the meaning of its
/// bits. Argument structs carry maps first. Encoding one takes the host well under a microsecond and no managed memory,
/// so maps are made again for each launch.
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

    /// <summary>Number of columns of a box: one row of the 128-byte swizzle.</summary>
    public const int BoxColumns = 64;

    private ulong _first;

    /// <summary>
    /// Returns whether a BF16 matrix of this width can be mapped: its rows must be whole 16-byte units.
    /// </summary>
    public static bool Fits(int columns) => columns > 0 && columns % 8 == 0;

    /// <summary>
    /// Encodes a BF16 matrix [rows, columns] that is copied in boxes of <paramref name="boxRows"/> × 64 with the
    /// 128-byte swizzle. Elements outside the matrix read as zeros.
    /// </summary>
    /// <param name="device">The device whose driver encodes the map.</param>
    /// <param name="pointer">Device address of the first element, 16-byte aligned.</param>
    /// <param name="rows">Number of rows, at least 1.</param>
    /// <param name="columns">Number of columns, a multiple of 8.</param>
    /// <param name="rowStride">Stride between rows in elements, a multiple of 8.</param>
    /// <param name="boxRows">Number of rows of a box, from 1 to 256.</param>
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
