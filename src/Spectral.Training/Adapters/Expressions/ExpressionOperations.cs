using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// What adapter methods state their forms with. Shapes are checked when a form is described; nothing is computed then.
/// </summary>
public static class ExpressionOperations
{
    /// <summary>s·op(a)·op(b), op transposing or not, of matrices [m, n] or of batches [b, m, n] of them.</summary>
    /// <exception cref="ArgumentException">The shapes do not fit; so for all operations here.</exception>
    public static Expression MatMul(
        this Expression a,
        Expression b,
        bool transposeA = false,
        bool transposeB = false,
        double scale = 1
    ) => new MatrixProduct(a, transposeA, b, transposeB, scale);

    /// <summary>
    /// x·diag(D_1 … D_b), x [m, b·k], D [b, k, n] (transposed [b, n, k]), without the block-diagonal matrix: m·b·k·n
    /// products.
    /// </summary>
    public static Expression MatMulBlocks(this Expression x, Expression blocks, bool transpose = false) =>
        new BlockProduct(x, blocks, transpose);

    /// <summary>
    /// s·x∘v, v one element per row or column of x (its last dimension), one in all, or one per element.
    /// </summary>
    public static Expression Multiply(this Expression x, Expression v, Broadcast broadcast, double scale = 1)
    {
        int columns = x.Shape.Rank == 0 ? 1 : x.Shape[x.Shape.Rank - 1];
        long wanted = broadcast switch
        {
            Broadcast.PerRow => x.Shape.Count / Math.Max(1, columns),
            Broadcast.PerColumn => columns,
            Broadcast.Single => 1,
            _ => x.Shape.Count,
        };
        return v.Shape.Count == wanted && (broadcast != Broadcast.PerElement || v.Shape == x.Shape)
            ? new BroadcastProduct(x, v, broadcast, scale)
            : throw new ArgumentException($"{x.Shape} times {v.Shape} {broadcast}", nameof(v));
    }

    /// <summary>s·x, s a constant.</summary>
    public static Expression Scale(this Expression x, double s) => new WeightedSum(x, s);

    /// <summary>diag(v)·x: row i times v_i.</summary>
    public static Expression ScaleRows(this Expression x, Expression v) => x.Multiply(v, Broadcast.PerRow);

    /// <summary>x·diag(v): column j times v_j.</summary>
    public static Expression ScaleColumns(this Expression x, Expression v) => x.Multiply(v, Broadcast.PerColumn);

    /// <summary>αx + βy.</summary>
    public static Expression Add(this Expression x, Expression y, double alpha = 1, double beta = 1) =>
        new WeightedSum(x, alpha, y, beta);

    /// <summary>x − y.</summary>
    public static Expression Subtract(this Expression x, Expression y) => new WeightedSum(x, 1, y, -1);

    /// <summary>αx + γI, for a matrix or each of a batch, I with ones where row and column agree.</summary>
    public static Expression AddIdentity(this Expression x, double gamma = 1, double alpha = 1) =>
        x.Shape.Rank >= 2
            ? new PlusIdentity(x, alpha, gamma)
            : throw new ArgumentException($"{x.Shape} plus the identity", nameof(x));

    /// <summary>Σ x∘y over each row, each column or everything ([1]), in F64.</summary>
    public static Expression Dot(this Expression x, Expression y, Broadcast broadcast = Broadcast.Single) =>
        x.Shape == y.Shape
            ? new InnerProduct(x, y, broadcast)
            : throw new ArgumentException($"an inner product of {x.Shape} and {y.Shape}", nameof(y));

    /// <summary>
    /// max(floor, √Σ x²) of each row, each column or everything: at the floor it is constant, which keeps its
    /// reciprocal finite.
    /// </summary>
    public static Expression Norm(this Expression x, Broadcast broadcast = Broadcast.Single, double floor = 0) =>
        x.Dot(x, broadcast).Sqrt(floor * floor);

    /// <summary>x as a constant: backward stops here.</summary>
    public static Expression Detach(this Expression x) => new Detached(x);

    /// <summary>1/x; infinite at 0.</summary>
    public static Expression Reciprocal(this Expression x) => new Mapped(x, MapFunction.Reciprocal, 0);

    /// <summary>√max(x, floor), constant up to the floor.</summary>
    public static Expression Sqrt(this Expression x, double floor = 0) => new Mapped(x, MapFunction.Sqrt, floor);

    /// <summary>eˣ.</summary>
    public static Expression Exp(this Expression x) => new Mapped(x, MapFunction.Exp, 0);

    /// <summary>cos x, x in radians.</summary>
    public static Expression Cos(this Expression x) => new Mapped(x, MapFunction.Cos, 0);

    /// <summary>sin x, x in radians.</summary>
    public static Expression Sin(this Expression x) => new Mapped(x, MapFunction.Sin, 0);

    /// <summary>max(x, floor); the ReLU with floor 0.</summary>
    public static Expression Max(this Expression x, double floor) => new Mapped(x, MapFunction.Max, floor);

    /// <summary>x².</summary>
    public static Expression Square(this Expression x) => new Mapped(x, MapFunction.Square, 0);

    /// <summary>Matrices one under another.</summary>
    public static Expression ConcatRows(params Expression[] parts) => new Concatenation(parts, rows: true);

    /// <summary>Matrices side by side.</summary>
    public static Expression ConcatColumns(params Expression[] parts) => new Concatenation(parts, rows: false);

    /// <summary>The rectangle [rows, columns] of a matrix at a row and column.</summary>
    public static Expression Block(this Expression x, int row, int column, int rows, int columns) =>
        new MatrixBlock(x, row, column, rows, columns);

    /// <summary>The same elements in other dimensions; costs nothing.</summary>
    public static Expression Reshape(this Expression x, Shape shape) => new Reshaped(x, shape);

    /// <summary>The last two dimensions exchanged. A product transposes its operands for nothing instead.</summary>
    public static Expression Transpose(this Expression x) =>
        x.Permute(
            x.Shape.Rank switch
            {
                2 => [1, 0],
                3 => [0, 2, 1],
                4 => [0, 1, 3, 2],
                _ => throw new ArgumentException($"{x.Shape} transposed", nameof(x)),
            }
        );

    /// <summary>Dimensions in another order: dimension k of the result is number axes[k] of x.</summary>
    public static Expression Permute(this Expression x, params int[] axes) => new Permuted(x, axes);

    /// <summary>
    /// The inverses of matrices [b, n, n] or of one [n, n], n up to 256, in F64 inside. Infinite or NaN where one is
    /// singular.
    /// </summary>
    public static Expression Inverse(this Expression x) =>
        x.Shape.Rank == 2 ? new Inverted(x.Reshape((1, x.Shape[0], x.Shape[1]))).Reshape(x.Shape) : new Inverted(x);

    /// <summary>
    /// Cayley's rotations of skew-symmetric S [b, n, n]: (I − S)(I + S)⁻¹ = 2(I + S)⁻¹ − I, or the opposite ones, (I +
    /// S)(I − S)⁻¹ = 2(I − S)⁻¹ − I.
    /// </summary>
    public static Expression Cayley(this Expression s, bool opposite = false) =>
        s.AddIdentity(1, opposite ? -1 : 1).Inverse().AddIdentity(-1, 2);

    /// <summary>
    /// PEFT's series in place of <see cref="Cayley"/>: I + 2S + 2S² + … + S^d, which comes near the <em>opposite</em>
    /// rotations. d is terms − 1, and at least 3: the published code gives the same for 3 and for 4 terms.
    /// </summary>
    /// <param name="s">S [b, n, n].</param>
    /// <param name="terms">At least 3; PEFT's default is 5.</param>
    /// <param name="twiceTheLast">Whether the last term counts twice like those before it, as in PEFT 0.16 and
    /// 0.17.</param>
    public static Expression Neumann(this Expression s, int terms = 5, bool twiceTheLast = false)
    {
        if (terms < 3)
            throw new ArgumentOutOfRangeException(nameof(terms), terms, "a series of at least 3 terms");
        // Horner: S + 2I, times S plus 2I as often as there are middle terms, times S plus I.
        Expression series = twiceTheLast ? s.Scale(2) : s;
        for (int power = (twiceTheLast ? terms : Math.Max(terms, 4)) - 2; power > 0; power--)
            series = s.MatMul(series.AddIdentity(2));
        return series.AddIdentity();
    }

    /// <summary>
    /// origin + Σ_i α_i u_i, u_i uniform in ∓bound and made anew from the seed wherever it is read, never stored (NOLA,
    /// arXiv 2310.02556). The cost is that of the random numbers: about 25 integer operations per element and
    /// direction, forward and backward.
    /// </summary>
    /// <param name="alpha">α [n].</param>
    /// <param name="origin">Of the given shape; null: zeros.</param>
    /// <param name="shape">Shape of each u_i.</param>
    /// <param name="seed">Seed.</param>
    /// <param name="firstStream">Stream of u_0; u_i has the i-th after it.</param>
    /// <param name="bound">Largest absolute value.</param>
    public static Expression RandomCombination(
        this Expression alpha,
        Expression? origin,
        Shape shape,
        ulong seed,
        ulong firstStream,
        double bound
    ) => new RandomSum(alpha, origin, shape, seed, firstStream, bound);

    /// <summary>
    /// Rows Σ_j π_j bank_j over the k largest of each row's logits, π their softmax (VB-LoRA, arXiv 2405.15179).
    /// </summary>
    /// <param name="logits">[p, n].</param>
    /// <param name="bank">[n, length].</param>
    /// <param name="k">1 to 8.</param>
    public static Expression TopKMixture(this Expression logits, Expression bank, int k) =>
        new BankMixture(logits, bank, k);
}
