using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Linalg;

/// <summary>Multiplies BF16 matrices, read as they are stored, with a few F32 vectors at F32 accuracy.</summary>
internal static class SketchPass
{
    /// <summary>Number of BF16 parts that vectors are split into; each part is [vectors, length].</summary>
    public const int Parts = 3;

    private const int Side = 128;
    private const int Depth = 32;
    private const int WantedBlocks = 128;
    private const int FewestSteps = 8;
    private const int ReducePerThread = 4;

    /// <summary>Computes y_b = x_b W_bᵀ, or x_b W_b when transposed, for each matrix of a batch.</summary>
    /// <param name="matrices">Table of <see cref="AddressTable"/>: addresses of dense BF16 matrices [rows,
    /// columns].</param>
    /// <param name="rows">Rows of each W.</param>
    /// <param name="columns">Columns of each W.</param>
    /// <param name="transposed">Sum over the rows of W instead of its columns.</param>
    /// <param name="parts">[batch, 3, vectors, summed dimension] BF16: x split in three.</param>
    /// <param name="vectors">Rows of x and y.</param>
    /// <param name="y">F32: where the first result [vectors, other dimension] begins, and the elements from one to the
    /// next.</param>
    /// <param name="batch">Number of matrices.</param>
    public static void Run(
        Tensor matrices,
        int rows,
        int columns,
        bool transposed,
        Tensor parts,
        int vectors,
        in GemmOperand y,
        int batch
    )
    {
        Device device = parts.Device;
        (int depth, int other) = transposed ? (rows, columns) : (columns, rows);
        int tile = vectors switch
        {
            <= 32 => 32,
            <= 96 => 96,
            _ => 160,
        };
        int groups = Launch.Blocks(vectors, tile);
        int sides = Launch.Blocks(other, Side);
        int shares = Shares(sides * groups, Launch.Blocks(depth, Depth), WantedBlocks, FewestSteps);
        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, batch, vectors, other)) : null;
        long result = (long)vectors * other;
        var args = new SketchPassArgs
        {
            Matrices = matrices.Pointer,
            Parts = parts.Pointer,
            Y = partial?.Pointer ?? y.Pointer,
            YStride = partial is null ? y.Stride : result,
            ShareStride = batch * result,
            Rows = rows,
            Columns = columns,
            Vectors = vectors,
            Shares = shares,
        };
        KernelEntry<SketchPassArgs> entry = Entry(tile, transposed);
        for (int from = 0; from < batch; from += Launch.MostAlongY)
        {
            SketchPassArgs piece = args with
            {
                Matrices = Launch.Skip(args.Matrices, from, sizeof(ulong)),
                Parts = Launch.Skip(args.Parts, (long)from * 3 * vectors * depth, sizeof(ushort)),
                Y = Launch.Skip(args.Y, from * args.YStride),
            };
            entry.Launch(device, piece, (sides, shares * groups, Math.Min(batch - from, Launch.MostAlongY)));
        }

        if (partial is not null)
            Reduce(new GemmOperand(partial, 0, other, result), batch * result, shares, y, vectors * other, batch);
    }

    /// <summary>Raises an I32 per matrix to the bits of max |y_b| as a float; NaN counts as infinity.</summary>
    /// <param name="y">F32: where the first y begins, and the elements from one to the next.</param>
    /// <param name="count">Elements of each y, densely stored.</param>
    /// <param name="batch">Number of matrices.</param>
    /// <param name="status">Device address of the first I32.</param>
    /// <param name="statusStride">Words from one to the next.</param>
    public static void Largest(in GemmOperand y, int count, int batch, ulong status, int statusStride) =>
        Reduce(y, 0, 1, y, count, batch, status, statusStride);

    /// <summary>Computes y_b as the sum of the partial results of all shares.</summary>
    /// <param name="partial">Where the first partial result begins, and the elements from one matrix to the
    /// next.</param>
    /// <param name="shareStride">Elements from one share to the next.</param>
    /// <param name="shares">Number of shares.</param>
    /// <param name="y">Where the first result begins, and the elements from one to the next.</param>
    /// <param name="count">Elements of each result, densely stored.</param>
    /// <param name="batch">Number of matrices.</param>
    /// <param name="status">Device address of the first I32, as in <see cref="Largest"/>, or 0.</param>
    /// <param name="statusStride">Words from one I32 to the next.</param>
    public static void Reduce(
        in GemmOperand partial,
        long shareStride,
        int shares,
        in GemmOperand y,
        int count,
        int batch,
        ulong status = 0,
        int statusStride = 0
    )
    {
        var args = new SketchReduceArgs
        {
            Partial = partial.Pointer,
            Y = y.Pointer,
            Status = status,
            PartialStride = partial.Stride,
            ShareStride = shareStride,
            YStride = y.Stride,
            Count = count,
            Shares = shares,
            StatusStride = statusStride,
        };
        Launch.Batch(
            SketchReduceArgs.Kernel,
            y.Tensor.Device,
            args,
            (Launch.Blocks(count, SketchReduceArgs.Kernel.Threads * ReducePerThread), batch)
        );
    }

    /// <summary>
    /// Returns how many parts the summed dimension is divided into. It depends on the shape of one matrix alone, so
    /// that a batch changes no bit.
    /// </summary>
    public static int Shares(int tiles, int steps, int wantedBlocks, int fewestSteps) =>
        Math.Clamp(wantedBlocks / tiles, 1, Math.Max(1, steps / fewestSteps));

    private static KernelEntry<SketchPassArgs> Entry(int tile, bool transposed) =>
        (tile, transposed) switch
        {
            (32, false) => SketchPassArgs.Apply32,
            (96, false) => SketchPassArgs.Apply96,
            (_, false) => SketchPassArgs.Apply160,
            (32, true) => SketchPassArgs.ApplyTransposed32,
            (96, true) => SketchPassArgs.ApplyTransposed96,
            _ => SketchPassArgs.ApplyTransposed160,
        };
}
