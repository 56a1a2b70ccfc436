using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels of a transformer block beside its products and its attention.</summary>
internal static class BlockKernels
{
    private const int Rows = 256;
    private const int Columns = 1024;
    private const double Count = (double)Rows * Columns;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. KernelSet.Plans(machine, "rms-norm 256 x 1024", RmsNorms),
            .. KernelSet.Plans(machine, "layer-norm 256 x 1024", LayerNorms),
            .. KernelSet.Plans(machine, "swiglu 256 x 1024", SwiGlus),
            .. KernelSet.Plans(machine, "soft-cap 256 x 1024", SoftCaps),
            .. KernelSet.Plans(machine, "gelu 256 x 1024", Gelus),
            .. KernelSet.Plans(machine, "elementwise 256 x 1024", Elementwise),
            .. KernelSet.Plans(machine, "columns 256 x 1024", ColumnKernels),
            .. KernelSet.Plans(machine, "rows 256 of 256 x 1024", RowKernels),
            .. KernelSet.Plans(machine, "copy 256 x 1024", Copies),
            .. KernelSet.Plans(machine, "experts 2 of 64, 128 x 1024", Experts),
        ];

    private static void RmsNorms(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor x = set.Normal((Rows, Columns), type);
        Tensor dy = set.Normal((Rows, Columns), type);
        Tensor residual = set.Normal((Rows, Columns), type);
        Tensor weight = set.Normal(Columns, type);
        Tensor result = set.Empty((Rows, Columns), type);
        Tensor inverse = set.Empty(Rows);
        Tensor dWeight = set.Empty(Columns);
        RmsNorm.Forward(x, weight, 1e-5f, result, inverse);
        double vectors = size * Columns + sizeof(float) * Rows;
        set.Add(
            "forward",
            2 * size * Count + vectors,
            4 * Count,
            () => RmsNorm.Forward(x, weight, 1e-5f, result, inverse)
        );
        set.Add(
            "backward",
            3 * size * Count + vectors,
            8 * Count,
            () => RmsNorm.Backward(x, weight, inverse, dy, result)
        );
        set.Add(
            "backward-residual",
            4 * size * Count + vectors,
            8 * Count,
            () => RmsNorm.Backward(x, weight, inverse, dy, result, residual)
        );
        set.Add(
            "backward-weight",
            3 * size * Count + vectors + sizeof(float) * Columns,
            11 * Count,
            () => RmsNorm.Backward(x, weight, inverse, dy, result, null, dWeight)
        );
    }

    private static void LayerNorms(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor x = set.Normal((Rows, Columns), type);
        Tensor dy = set.Normal((Rows, Columns), type);
        Tensor weight = set.Normal(Columns, type);
        Tensor bias = set.Normal(Columns, type);
        Tensor result = set.Empty((Rows, Columns), type);
        Tensor statistics = set.Empty((Rows, 2));
        Tensor dWeight = set.Empty(Columns);
        LayerNorm.Forward(x, weight, bias, 1e-5f, result, statistics);
        double vectors = size * Columns + 2 * sizeof(float) * Rows;
        set.Add(
            "forward",
            2 * size * Count + vectors + size * Columns,
            7 * Count,
            () => LayerNorm.Forward(x, weight, bias, 1e-5f, result, statistics)
        );
        set.Add(
            "backward",
            3 * size * Count + vectors,
            12 * Count,
            () => LayerNorm.Backward(x, weight, statistics, dy, result)
        );
        set.Add(
            "backward-weight",
            3 * size * Count + vectors + sizeof(float) * Columns,
            16 * Count,
            () => LayerNorm.Backward(x, weight, statistics, dy, result, null, dWeight)
        );
    }

    private static void Gelus(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor x = set.Normal((Rows, Columns), type);
        Tensor up = set.Normal((Rows, Columns), type);
        Tensor dy = set.Normal((Rows, Columns), type);
        Tensor first = set.Empty((Rows, Columns), type);
        Tensor second = set.Empty((Rows, Columns), type);
        set.Add("gate", 3 * size * Count, 11 * Count, () => Gelu.Forward(GeluForm.Tanh, x, (ColumnRange)up, first));
        set.Add("alone", 2 * size * Count, 11 * Count, () => Gelu.Forward(GeluForm.Tanh, x, null, first));
        set.Add("exact", 2 * size * Count, 11 * Count, () => Gelu.Forward(GeluForm.Exact, x, null, first));
        set.Add(
            "gate-backward",
            5 * size * Count,
            22 * Count,
            () => Gelu.Backward(GeluForm.Tanh, x, (ColumnRange)up, dy, first, (ColumnRange)second)
        );
        set.Add(
            "alone-backward",
            3 * size * Count,
            22 * Count,
            () => Gelu.Backward(GeluForm.Tanh, x, null, dy, first, null)
        );
    }

    private static void SwiGlus(KernelSet set, DType type)
    {
        Tensor gate = set.Normal((Rows, Columns), type);
        Tensor up = set.Normal((Rows, Columns), type);
        Tensor dy = set.Normal((Rows, Columns), type);
        Tensor first = set.Empty((Rows, Columns), type);
        Tensor second = set.Empty((Rows, Columns), type);
        set.Add("forward", 3 * type.Size() * Count, 5 * Count, () => SwiGlu.Forward(gate, up, first));
        set.Add("backward", 5 * type.Size() * Count, 10 * Count, () => SwiGlu.Backward(gate, up, dy, first, second));
    }

    private static void SoftCaps(KernelSet set, DType type)
    {
        const float cap = 2;
        Tensor x = set.Normal((Rows, Columns));
        Tensor y = set.Empty((Rows, Columns));
        Tensor dy = set.Normal((Rows, Columns), type);
        Tensor dx = set.Empty((Rows, Columns), type);
        if (type == DType.F32)
            set.Add("forward", 2 * sizeof(float) * Count, 20 * Count, () => SoftCap.Forward(x, y, cap));
        double bytes = (sizeof(float) + 2 * type.Size()) * Count;
        set.Add("backward", bytes, 4 * Count, () => SoftCap.Backward(x, dy, dx, cap));
    }

    private static void Elementwise(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor a = set.Normal((Rows, Columns), type);
        Tensor b = set.Normal((Rows, Columns), type);
        Tensor y = set.Empty((Rows, Columns), type);
        Tensor bias = set.Normal(Columns, type);
        DType other = type == DType.F32 ? DType.BF16 : DType.F32;
        Tensor converted = set.Empty((Rows, Columns), other);
        StepState state = set.Own(new StepState(set.Device));
        state.SeedDropout(1);
        var mask = new DropoutMask(state, 1, 0.1);
        set.Add("add", 3 * size * Count, Count, () => Add.Forward(a, b, y));
        set.Add("scale", 2 * size * Count, Count, () => Scale.Run(a, 1.5f));
        set.Add("cast", (size + other.Size()) * Count, 0, () => Cast.Run(a, converted));
        set.Add("add-bias", 2 * size * Count + size * Columns, Count, () => AddBias.Run(a, bias));
        set.Add("dropout", 2 * size * Count, 2 * Count, () => Dropout.Run(a, y, mask));
        set.Add("rectify", 2 * size * Count, Count, () => Rectifier.Forward(b));
        set.Add("rectify-backward", 3 * size * Count, Count, () => Rectifier.Backward(a, b));
    }

    private static void ColumnKernels(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor x = set.Normal((Rows, Columns), type);
        Tensor dy = set.Normal((Rows, Columns), type);
        Tensor y = set.Empty((Rows, Columns), type);
        Tensor scale = set.Normal(Columns);
        Tensor shift = set.Normal(Columns, type);
        Tensor gradient = set.Empty(Columns);
        double vector = sizeof(float) * Columns;
        set.Add("bias-gradient", size * Count + vector, Count, () => BiasGradient.Run(dy, gradient, accumulate: false));
        set.Add(
            "scale-shift",
            2 * size * Count + vector + size * Columns,
            2 * Count,
            () => ScaleShift.Forward(x, scale, shift, y)
        );
        set.Add("scale-back", 2 * size * Count + vector, 2 * Count, () => ScaleShift.Backward(dy, scale, y));
        set.Add(
            "scale-gradient",
            2 * size * Count + vector,
            2 * Count,
            () => ScaleShift.ScaleGradient(dy, x, gradient, accumulate: false)
        );
    }

    private static void RowKernels(KernelSet set, DType type)
    {
        const int unique = 64;
        const int vocabulary = 128;
        double size = type.Size();
        Tensor x = set.Normal((Rows, Columns), type);
        Tensor y = set.Normal((Rows, Columns), type);
        Tensor back = set.Empty((Rows, Columns), type);
        Tensor index = set.Indices(Rows, i => i * 37 % Rows);
        // Every id occurs as often as every other, at positions far apart.
        Tensor order = set.Indices(Rows, i => i % (Rows / unique) * unique + i / (Rows / unique));
        Tensor segments = set.Indices(unique + 1, i => i * (Rows / unique));
        Tensor ids = set.Indices(unique, i => 2 * i);
        Tensor table = set.Zeros((vocabulary, Columns));
        double indices = sizeof(int) * Rows;
        set.Add("gather", 2 * size * Count + indices, 0, () => Spectral.Kernels.Ops.Rows.Gather(x, index, back));
        set.Add("scatter", 2 * size * Count + indices, 0, () => Spectral.Kernels.Ops.Rows.Scatter(y, index, back));
        set.Add(
            "embedding-gradient",
            size * Count + 2 * sizeof(float) * (double)unique * Columns + sizeof(int) * (Rows + 2 * unique + 1),
            Count,
            () => Embedding.Backward(y, order, segments, ids, table, accumulate: true)
        );
    }

    private static void Experts(KernelSet set, DType type)
    {
        (int tokens, int experts, int k) = (128, 64, 2);
        double size = type.Size();
        Tensor logits = set.Normal((tokens, experts), type);
        Tensor probabilities = set.Empty((tokens, experts));
        Tensor index = set.Empty((tokens, k), DType.I32);
        Tensor weight = set.Empty((tokens, k));
        Tensor dWeight = set.Normal((tokens, k));
        Tensor slope = set.Normal(experts);
        Tensor mask = set.Normal(tokens);
        Tensor rows = set.Normal((tokens * k, Columns), type);
        Tensor place = set.Own(set.Indices(tokens * k, i => i * 37 % (tokens * k)).View((tokens, k)));
        Tensor y = set.Normal((tokens, Columns), type);
        Tensor dRows = set.Empty((tokens * k, Columns), type);
        ExpertRouter.Forward(logits, true, probabilities, index, weight);
        double all = (size + sizeof(float)) * tokens * experts;
        double choices = 2.0 * sizeof(float) * tokens * k;
        double row = size * tokens * Columns;
        set.Add(
            "route",
            all + choices,
            5.0 * tokens * experts,
            () => ExpertRouter.Forward(logits, true, probabilities, index, weight)
        );
        set.Add(
            "route-backward",
            all + 1.5 * choices + sizeof(float) * (experts + tokens),
            (4.0 + k) * tokens * experts,
            () => ExpertRouter.Backward(probabilities, index, weight, true, dWeight, slope, mask, logits)
        );
        set.Add(
            "combine",
            (k + 1) * row + choices,
            2.0 * k * tokens * Columns,
            () => ExpertRows.Combine(rows, place, weight, y)
        );
        set.Add(
            "combine-backward",
            (2 * k + 1) * row + 1.5 * choices,
            3.0 * k * tokens * Columns,
            () => ExpertRows.Backward(y, place, weight, rows, dRows, dWeight)
        );
    }

    private static void Copies(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor source = set.Normal((Rows, Columns));
        Tensor same = set.Normal((Rows, Columns), type);
        Tensor destination = set.Zeros((Rows, 2 * Columns), type);
        set.Add("copy-block", (sizeof(float) + size) * Count, 0, () => CopyBlock.Run(source, destination, 0, Columns));
        if (type == DType.BF16)
            set.Add("copy-within", 2 * size * Count, 0, () => CopyBlock.Run(same, destination, 0, Columns));
        else
            set.Add("add-block", 12 * Count, 2 * Count, () => CopyBlock.Add(destination, 0, Columns, same));
    }
}
