using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The start values of a factor. Random ones depend only on the seed, the module's name and the factor's name.
/// </summary>
public abstract record Start
{
    /// <summary>A start with zeros everywhere.</summary>
    public static Start Zeros { get; } = new Constant(0);

    /// <summary>A start with ones everywhere.</summary>
    public static Start Ones { get; } = new Constant(1);

    /// <summary>
    /// The Kaiming-uniform start with a = √5 (He et al., 2015; PyTorch's default for linear layers): U(−1/√columns,
    /// 1/√columns).
    /// </summary>
    public static Start KaimingUniform { get; } = new KaimingUniformStart();

    /// <summary>The start of places none of which is in use, −1 everywhere.</summary>
    internal static Start Unused { get; } = new UnusedStart();

    /// <summary>Returns a start with the same value everywhere.</summary>
    public static Start Of(double value) => new Constant(value);

    /// <summary>Returns a start with given values, row by row.</summary>
    public static Start Values(params float[] values) => new ValuesStart(values);

    /// <summary>Returns a normal start, N(0, <paramref name="deviation"/>²).</summary>
    public static Start Normal(double deviation) => new NormalStart(deviation);

    /// <summary>Returns a uniform start, U(−<paramref name="bound"/>, <paramref name="bound"/>).</summary>
    public static Start Uniform(double bound) => new UniformStart(bound);

    /// <summary>
    /// The start with random orthonormal rows: those of a Gaussian matrix, orthonormalized. The matrix must not have
    /// more rows than columns.
    /// </summary>
    public static Start OrthonormalRows { get; } = new OrthonormalRowsStart();

    /// <summary>
    /// Returns a start whose values follow from the settings, so that files may omit them. They are computed on the
    /// host whenever they are needed.
    /// </summary>
    internal static Start Computed(Func<float[]> values) => new ComputedStart(values);

    /// <summary>
    /// Returns a start that copies another factor of the layer once it has its start values, or a tensor of the base.
    /// </summary>
    internal static Start CopyOf(Expression source) => new CopyStart(source);

    /// <summary>Whether the start copies another one and has to be written after it.</summary>
    internal virtual bool IsCopy => false;

    /// <summary>Whether the values follow from the settings, independent of the seed.</summary>
    internal virtual bool FollowsFromSettings => false;

    /// <summary>Writes the start values into a tensor, F32.</summary>
    internal abstract void Fill(Tensor values, ulong seed, ulong stream);

    private sealed record Constant(double Value) : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream)
        {
            if (Value == 0)
                values.Clear();
            else
                values.CopyFrom(Enumerable.Repeat((float)Value, checked((int)values.Count)).ToArray());
        }
    }

    private sealed record UnusedStart : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream) =>
            values.CopyFrom(Enumerable.Repeat(-1, checked((int)values.Count)).ToArray());
    }

    private sealed record ValuesStart(float[] All) : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream) => values.CopyFrom(All);
    }

    private sealed record ComputedStart(Func<float[]> Compute) : Start
    {
        internal override bool FollowsFromSettings => true;

        internal override void Fill(Tensor values, ulong seed, ulong stream) => values.CopyFrom(Compute());
    }

    private sealed record CopyStart(Expression Source) : Start
    {
        internal override bool IsCopy => true;

        internal override void Fill(Tensor values, ulong seed, ulong stream)
        {
            values.CopyFrom(Source.Value);
            if (!Source.IsStored)
                Source.Forget();
        }
    }

    private sealed record KaimingUniformStart : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream)
        {
            float bound = (float)(1 / Math.Sqrt(values.Dim(values.Shape.Rank - 1)));
            Philox.Uniform(values, seed, stream, -bound, bound);
        }
    }

    private sealed record NormalStart(double Deviation) : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream) =>
            Philox.Normal(values, seed, stream, 0, (float)Deviation);
    }

    private sealed record UniformStart(double Bound) : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream) =>
            Philox.Uniform(values, seed, stream, (float)-Bound, (float)Bound);
    }

    private sealed record OrthonormalRowsStart : Start
    {
        internal override void Fill(Tensor values, ulong seed, ulong stream)
        {
            using var normal = Tensor.Empty(values.Device, values.Shape);
            Philox.Normal(normal, seed, stream, 0, 1);
            Orthonormalization.Rows(normal, values);
        }
    }
}
