namespace Spectral.Kernels;

/// <summary>Arguments of <c>low_rank_project</c>.</summary>
[KernelArgs("low_rank_passes", "low_rank_project_32_f32", "low_rank_project_32_bf16", "low_rank_project_64_f32", "low_rank_project_64_bf16")]
public struct LowRankProjectArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong X;
    /// <summary>[rank, columns].</summary>
    public ulong Right;
    /// <summary>[rank] F32, or 0.</summary>
    public ulong Middle;
    /// <summary>[rows, rank].</summary>
    public ulong Z;
    /// <summary>[rows, rank], or 0.</summary>
    public ulong Scaled;
    /// <summary>[shares, rows, rank] F32; used with more than one share.</summary>
    public ulong Partial;
    /// <summary>M.</summary>
    public int Rows;
    /// <summary>K.</summary>
    public int Columns;
    /// <summary>r.</summary>
    public int Rank;
    /// <summary>Parts that the columns are divided into (grid y).</summary>
    public int Shares;
    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_output_gradients</c>.</summary>
[KernelArgs("low_rank_passes", "low_rank_output_gradients_32_f32", "low_rank_output_gradients_32_bf16", "low_rank_output_gradients_64_f32", "low_rank_output_gradients_64_bf16")]
public struct LowRankOutputGradientsArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong Dy;
    /// <summary>[columns, rank].</summary>
    public ulong Left;
    /// <summary>[rows, rank].</summary>
    public ulong Z;
    /// <summary>[rank] F32, or 0.</summary>
    public ulong Middle;
    /// <summary>[rows, rank].</summary>
    public ulong G;
    /// <summary>[rows, rank], or 0.</summary>
    public ulong Scaled;
    /// <summary>[shares, rows, rank] F32; used with more than one share.</summary>
    public ulong Partial;
    /// <summary>[blocks of rows, columns, rank] F32, or 0: no gradient of L.</summary>
    public ulong LeftPartial;
    /// <summary>M.</summary>
    public int Rows;
    /// <summary>N.</summary>
    public int Columns;
    /// <summary>r.</summary>
    public int Rank;
    /// <summary>Parts that the columns are divided into (grid y).</summary>
    public int Shares;
    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_input_gradient</c>.</summary>
[KernelArgs("low_rank_passes", "low_rank_input_gradient_32_f32", "low_rank_input_gradient_32_bf16", "low_rank_input_gradient_64_f32", "low_rank_input_gradient_64_bf16")]
public struct LowRankInputGradientArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong X;
    /// <summary>[rows, rank], rows skinny_stride apart.</summary>
    public ulong H;
    /// <summary>[shares, rank, columns] F32.</summary>
    public ulong Partial;
    /// <summary>M.</summary>
    public int Rows;
    /// <summary>K.</summary>
    public int Columns;
    /// <summary>r.</summary>
    public int Rank;
    /// <summary>Elements from one row of h to the next.</summary>
    public int SkinnyStride;
    /// <summary>Parts that the rows are divided into (grid y).</summary>
    public int Shares;
}

/// <summary>How the skinny passes of <see cref="LowRank"/> run.</summary>
public enum LowRankPassKind
{
    /// <summary>As matrix products of cuBLAS, or OpenBLAS on the CPU device.</summary>
    Blas,
    /// <summary>As this library's own kernels, which read the wide operand once.</summary>
    Kernels,
}

/// <summary>
/// The passes of a low-rank linear layer over its wide activations: <c>z = x Rᵀ</c> forward, <c>g = dy L</c> with the gradients of L and c,
/// and the gradient of R backward. All sums are F32, in an order that depends on shapes alone.
/// </summary>
public static partial class LowRank
{
    /// <summary>Environment variable that forces <see cref="LowRankPassKind"/>: <c>blas</c> or <c>kernels</c>.</summary>
    public const string PassVariable = "SPECTRAL_LOWRANK_PASSES";

    private const string PassModule = "low_rank_passes";
    private const int Side = 64, PassThreads = 128, CpuBlocks = 8;

    private static readonly ForcedChoice<LowRankPassKind> Forced = new(PassVariable, ("blas", LowRankPassKind.Blas), ("kernels", LowRankPassKind.Kernels));

    /// <summary>Forces how the passes run; null (and no <see cref="PassVariable"/>): by rule.</summary>
    /// <exception cref="InvalidOperationException"><see cref="PassVariable"/> names nothing known.</exception>
    public static LowRankPassKind? Passes
    {
        get => Forced.Value;
        set => Forced.Value = value;
    }

    /// <summary>
    /// How a pass of this rank runs on this device. The rule: BLAS on the CPU device; on a GPU the kernels up to rank 64, where one read of
    /// the activations serves all columns, and cuBLAS beyond.
    /// </summary>
    public static LowRankPassKind ChoosePasses(Device device, int rank) =>
        Passes ?? (device.Kind == DeviceKind.Cpu || rank > 64 ? LowRankPassKind.Blas : LowRankPassKind.Kernels);

    /// <summary>z = x Rᵀ, and with <paramref name="scaled"/> also Scale · c ∘ z.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="right">R [p, in], same type.</param>
    /// <param name="z">[M, p], same type; overwritten.</param>
    /// <param name="middle">c [p] F32, used for <paramref name="scaled"/> only; null: ones.</param>
    /// <param name="scale">Used for <paramref name="scaled"/> only.</param>
    /// <param name="scaled">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Project(Tensor x, Tensor right, Tensor z, Tensor? middle = null, float scale = 1, Tensor? scaled = null)
    {
        Device device = x.Device;
        Check.Shape(x, nameof(x), -1, -1);
        int rows = x.Dim(0), columns = x.Dim(1);
        Check.Shape(right, nameof(right), -1, columns);
        int rank = right.Dim(0);
        Check.Floating(x, nameof(x));
        Check.SameDType(x, nameof(x), right, nameof(right));
        Check.SameDevice(device, right, nameof(right));
        CheckSkinny(z, nameof(z), x, rows, rank);
        if (middle is not null) CheckMiddle(middle, rank, device);
        if (scaled is not null) CheckSkinny(scaled, nameof(scaled), x, rows, rank);
        if (rows == 0 || rank == 0) return;

        if (ChoosePasses(device, rank) == LowRankPassKind.Blas)
        {
            Gemm.Run(x, false, right, true, z);
            if (scaled is not null) LowRankReduce.ScaleColumns(z, middle, scale, scaled);
            return;
        }
        int ranks = rank <= 32 ? 32 : 64, groups = Divided(rank, ranks), blocks = Divided(rows, Side), size = x.DType.Size();
        int shares = Shares(device, Divided(columns, Side), blocks * groups), stages = x.DType == DType.BF16 ? 4 : 3;
        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
        var args = new LowRankProjectArgs
        {
            X = x.Pointer, Right = right.Pointer, Middle = middle?.Pointer ?? 0, Z = z.Pointer, Scaled = scaled?.Pointer ?? 0, Partial = partial?.Pointer ?? 0,
            Rows = rows, Columns = columns, Rank = rank, Shares = shares, Scale = scale,
        };
        string entry = (ranks, x.DType) switch
        {
            (32, DType.F32) => "low_rank_project_32_f32",
            (32, _) => "low_rank_project_32_bf16",
            (_, DType.F32) => "low_rank_project_64_f32",
            _ => "low_rank_project_64_bf16",
        };
        device.Kernel(PassModule, entry).Launch(args, blocks, shares, groups, PassThreads, stages * (Side + ranks) * Side * size);
        if (partial is not null) LowRankReduce.Rows(partial, shares, z, middle, scale, scaled);
    }

    /// <summary>
    /// g = dy L; with <paramref name="scaled"/> also Scale · c ∘ g; and the wanted gradients <c>dL = Scale · dyᵀ (z ∘ c)</c> and
    /// <c>dcᵢ = Scale · Σₜ gₜᵢ zₜᵢ</c>. The kernels read dy once for all of them up to rank 64.
    /// </summary>
    /// <param name="dy">[M, out], F32 or BF16.</param>
    /// <param name="factors">L, c and the scale; R is not used.</param>
    /// <param name="z">[M, p], same type: x Rᵀ of the forward pass.</param>
    /// <param name="g">[M, p], same type; overwritten.</param>
    /// <param name="scaled">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="gradients">Its Left and Middle are written; Right is not.</param>
    /// <param name="accumulate">Add to the gradients instead of overwriting them.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void OutputGradients(Tensor dy, LowRankFactors factors, Tensor z, Tensor g, Tensor? scaled, in LowRankGradients gradients, bool accumulate = false)
    {
        Device device = dy.Device;
        Check.Shape(dy, nameof(dy), -1, -1);
        int rows = dy.Dim(0), columns = dy.Dim(1), rank = factors.Rank;
        factors.Check(columns, factors.Right.Dim(1), device);
        Check.SameDType(factors.Left, nameof(factors.Left), dy, nameof(dy));
        CheckSkinny(z, nameof(z), dy, rows, rank);
        CheckSkinny(g, nameof(g), dy, rows, rank);
        if (scaled is not null) CheckSkinny(scaled, nameof(scaled), dy, rows, rank);
        (gradients with { Right = null }).Check(columns, 0, rank, device);
        if (rows == 0)
        {
            if (!accumulate) gradients.Left?.Clear();
            if (!accumulate) gradients.Middle?.Clear();
            return;
        }
        if (ChoosePasses(device, rank) == LowRankPassKind.Blas) OutputGradientsByBlas(dy, factors, z, g, scaled, gradients, accumulate);
        else OutputGradientsByKernel(dy, factors, z, g, scaled, gradients, accumulate);
        if (gradients.Middle is not null) LowRankReduce.MiddleGradient(g, z, factors.Scale, gradients.Middle, accumulate);
    }

    /// <summary>dR (+)= scale · hᵀ x for the columns of h from <paramref name="from"/> on.</summary>
    /// <param name="h">[M, p], F32 or BF16: g, or g ∘ c.</param>
    /// <param name="x">[M, in], same type.</param>
    /// <param name="dRight">[p − from, in] F32.</param>
    /// <param name="from">First column of h.</param>
    /// <param name="scale">Factor of the product.</param>
    /// <param name="accumulate">Add to dR instead of overwriting it.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void InputGradient(Tensor h, Tensor x, Tensor dRight, int from = 0, float scale = 1, bool accumulate = false)
    {
        Device device = x.Device;
        Check.Shape(x, nameof(x), -1, -1);
        int rows = x.Dim(0), columns = x.Dim(1);
        Check.Shape(h, nameof(h), rows, -1);
        int stride = h.Dim(1);
        LowRankGradients.CheckRange(from, stride, nameof(from));
        int rank = stride - from;
        Check.Floating(x, nameof(x));
        CheckSkinny(h, nameof(h), x, rows, stride);
        Check.Shape(dRight, nameof(dRight), rank, columns);
        Check.DType(dRight, nameof(dRight), DType.F32);
        Check.SameDevice(device, dRight, nameof(dRight));
        if (rank == 0 || columns == 0) return;
        if (rows == 0)
        {
            if (!accumulate) dRight.Clear();
            return;
        }
        if (ChoosePasses(device, rank) == LowRankPassKind.Blas)
        {
            Gemm.Run(new(h, from, stride), true, new(x, 0, columns), false, new(dRight, 0, columns), rank, columns, rows, scale, accumulate ? 1 : 0);
            return;
        }
        int ranks = rank <= 32 ? 32 : 64, groups = Divided(rank, ranks), blocks = Divided(columns, Side), size = x.DType.Size();
        int shares = Shares(device, Divided(rows, Side), blocks * groups), stages = x.DType == DType.BF16 ? 4 : 3;
        using Tensor partial = Tensor.Empty(device, (shares, rank, columns));
        var args = new LowRankInputGradientArgs
        {
            X = x.Pointer, H = h.Pointer + (ulong)(from * size), Partial = partial.Pointer,
            Rows = rows, Columns = columns, Rank = rank, SkinnyStride = stride, Shares = shares,
        };
        string entry = (ranks, x.DType) switch
        {
            (32, DType.F32) => "low_rank_input_gradient_32_f32",
            (32, _) => "low_rank_input_gradient_32_bf16",
            (_, DType.F32) => "low_rank_input_gradient_64_f32",
            _ => "low_rank_input_gradient_64_bf16",
        };
        device.Kernel(PassModule, entry).Launch(args, blocks, shares, groups, PassThreads, stages * (Side + ranks) * Side * size);
        LowRankReduce.Gradient(partial, shares, columns, 0, null, scale, dRight, accumulate);
    }

    private static void OutputGradientsByBlas(Tensor dy, LowRankFactors factors, Tensor z, Tensor g, Tensor? scaled, in LowRankGradients gradients, bool accumulate)
    {
        int rows = dy.Dim(0), columns = dy.Dim(1), rank = factors.Rank;
        Gemm.Run(dy, false, factors.Left, false, g);
        if (scaled is not null) LowRankReduce.ScaleColumns(g, factors.Middle, factors.Scale, scaled);
        if (gradients.Left is not { } left) return;
        int from = gradients.LeftFrom, count = rank - from;
        using Tensor? weighted = factors.Middle is null ? null : Tensor.Empty(dy.Device, z.Shape, z.DType);
        if (weighted is not null) LowRankReduce.ScaleColumns(z, factors.Middle, factors.Scale, weighted);
        Gemm.Run(new(dy, 0, columns), true, new(weighted ?? z, from, rank), false, new(left, 0, Math.Max(1, count)), columns, count, rows,
            weighted is null ? factors.Scale : 1, accumulate ? 1 : 0);
    }

    private static void OutputGradientsByKernel(Tensor dy, LowRankFactors factors, Tensor z, Tensor g, Tensor? scaled, in LowRankGradients gradients, bool accumulate)
    {
        Device device = dy.Device;
        int rows = dy.Dim(0), columns = dy.Dim(1), rank = factors.Rank, size = dy.DType.Size();
        int ranks = rank <= 32 ? 32 : 64, groups = Divided(rank, ranks);
        (int stages, int chunks) = dy.DType == DType.BF16 ? (3, 256 / ranks) : (2, 128 / ranks);
        int blocks = Divided(rows, chunks * Side), shares = Shares(device, Divided(columns, Side), blocks * groups);
        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
        using Tensor? leftPartial = gradients.Left is null ? null : Tensor.Empty(device, (blocks, columns, rank));
        var args = new LowRankOutputGradientsArgs
        {
            Dy = dy.Pointer, Left = factors.Left.Pointer, Z = z.Pointer, Middle = factors.Middle?.Pointer ?? 0, G = g.Pointer, Scaled = scaled?.Pointer ?? 0,
            Partial = partial?.Pointer ?? 0, LeftPartial = leftPartial?.Pointer ?? 0,
            Rows = rows, Columns = columns, Rank = rank, Shares = shares, Scale = factors.Scale,
        };
        string entry = (ranks, dy.DType) switch
        {
            (32, DType.F32) => "low_rank_output_gradients_32_f32",
            (32, _) => "low_rank_output_gradients_32_bf16",
            (_, DType.F32) => "low_rank_output_gradients_64_f32",
            _ => "low_rank_output_gradients_64_bf16",
        };
        int shared = (stages * Side + (2 + chunks) * ranks) * Side * size;
        device.Kernel(PassModule, entry).Launch(args, blocks, shares, groups, PassThreads, shared);
        if (partial is not null) LowRankReduce.Rows(partial, shares, g, factors.Middle, factors.Scale, scaled);
        if (leftPartial is not null) LowRankReduce.Gradient(leftPartial, blocks, rank, gradients.LeftFrom, factors.Middle, factors.Scale, gradients.Left!, accumulate);
    }

    private static void CheckSkinny(Tensor skinny, string name, Tensor wide, int rows, int rank)
    {
        Check.Shape(skinny, name, rows, rank);
        if (skinny.DType != wide.DType) throw new ArgumentException($"{name} is {skinny.DType}, expected {wide.DType} as its wide operand is", name);
        Check.SameDevice(wide.Device, skinny, name);
    }

    private static void CheckMiddle(Tensor middle, int rank, Device device)
    {
        Check.Shape(middle, nameof(middle), rank);
        Check.DType(middle, nameof(middle), DType.F32);
        Check.SameDevice(device, middle, nameof(middle));
    }

    // Shares of a reduction, so that about every multiprocessor has a block; on the CPU device a fixed number, since results depend on it.
    private static int Shares(Device device, int tiles, int blocks)
    {
        int wanted = (device.Kind == DeviceKind.Cpu ? CpuBlocks : device.MultiprocessorCount) / blocks;
        int shares = Math.Clamp(wanted, 1, Math.Max(1, tiles)), each = Math.Max(1, Divided(tiles, shares));
        return Math.Max(1, Divided(tiles, each));
    }

    private static int Divided(int length, int size) => (int)((length + (long)size - 1) / size);
}
