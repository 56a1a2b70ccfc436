using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The operations with which adapter methods state their forms. Shapes are checked when a form is described; nothing is
/// computed then.
/// </summary>
public static class ExpressionOperations
{
    /// <summary>
    /// Returns s·op(a)·op(b), op transposing or not, of matrices [m, n] or of batches [b, m, n] of them.
    /// </summary>
    /// <param name="a">The left operand.</param>
    /// <param name="b">The right operand.</param>
    /// <param name="transposeA">Whether to transpose a.</param>
    /// <param name="transposeB">Whether to transpose b.</param>
    /// <param name="scale">The constant factor s.</param>
    /// <exception cref="ArgumentException">The shapes do not fit. All operations here throw this.</exception>
    public static Expression MatMul(
        this Expression a,
        Expression b,
        bool transposeA = false,
        bool transposeB = false,
        double scale = 1
    ) => new MatrixProduct(a, transposeA, b, transposeB, scale);

    /// <summary>
    /// Returns x·diag(D_1 … D_b) for x [m, b·k] and D [b, k, n] (transposed [b, n, k]) without forming the
    /// block-diagonal matrix. It costs m·b·k·n multiplications.
    /// </summary>
    public static Expression MatMulBlocks(this Expression x, Expression blocks, bool transpose = false) =>
        new BlockProduct(x, blocks, transpose);

    /// <summary>
    /// Returns s·x∘v. v has one element per row (index of all but the last dimension), per column (index of the last
    /// dimension), per element, or a single one.
    /// </summary>
    /// <param name="x">A value of any shape.</param>
    /// <param name="v">What x is multiplied with.</param>
    /// <param name="broadcast">The elements of x to which each element of v applies.</param>
    /// <param name="scale">The constant factor s.</param>
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

    /// <summary>Returns s·x for a constant s.</summary>
    public static Expression Scale(this Expression x, double s) => new WeightedSum(x, s);

    /// <summary>Returns diag(v)·x: row i times v_i.</summary>
    public static Expression ScaleRows(this Expression x, Expression v) => x.Multiply(v, Broadcast.PerRow);

    /// <summary>Returns x·diag(v): column j times v_j.</summary>
    public static Expression ScaleColumns(this Expression x, Expression v) => x.Multiply(v, Broadcast.PerColumn);

    /// <summary>Returns the weighted sum αx + βy of two values of the same shape.</summary>
    public static Expression Add(this Expression x, Expression y, double alpha = 1, double beta = 1) =>
        new WeightedSum(x, alpha, y, beta);

    /// <summary>Returns the difference x − y of two values of the same shape.</summary>
    public static Expression Subtract(this Expression x, Expression y) => new WeightedSum(x, 1, y, -1);

    /// <summary>
    /// Returns αx + γI for a matrix or for each of a batch. I has ones where row and column are equal.
    /// </summary>
    public static Expression AddIdentity(this Expression x, double gamma = 1, double alpha = 1) =>
        x.Shape.Rank >= 2
            ? new PlusIdentity(x, alpha, gamma)
            : throw new ArgumentException($"{x.Shape} plus the identity", nameof(x));

    /// <summary>Returns Σ x∘y over each row, over each column or over everything ([1]), summed in F64.</summary>
    /// <param name="x">The left operand.</param>
    /// <param name="y">The right operand, of the same shape.</param>
    /// <param name="broadcast">The elements that each sum covers.</param>
    public static Expression Dot(this Expression x, Expression y, Broadcast broadcast = Broadcast.Single) =>
        x.Shape == y.Shape
            ? new InnerProduct(x, y, broadcast)
            : throw new ArgumentException($"an inner product of {x.Shape} and {y.Shape}", nameof(y));

    /// <summary>
    /// Returns max(floor, √Σ x²) of each row, each column or everything. At the floor it is constant, which keeps its
    /// reciprocal finite.
    /// </summary>
    /// <param name="x">A value of any shape.</param>
    /// <param name="broadcast">The elements that each norm covers.</param>
    /// <param name="floor">The smallest result.</param>
    public static Expression Norm(this Expression x, Broadcast broadcast = Broadcast.Single, double floor = 0) =>
        x.Dot(x, broadcast).Sqrt(floor * floor);

    /// <summary>Returns x as a constant, at which backward stops.</summary>
    public static Expression Detach(this Expression x) => new Detached(x);

    /// <summary>Returns 1/x of each element; infinite at 0.</summary>
    public static Expression Reciprocal(this Expression x) => new Mapped(x, MapFunction.Reciprocal, 0);

    /// <summary>Returns √max(x, floor) of each element; constant up to the floor.</summary>
    public static Expression Sqrt(this Expression x, double floor = 0) => new Mapped(x, MapFunction.Sqrt, floor);

    /// <summary>Returns eˣ of each element.</summary>
    public static Expression Exp(this Expression x) => new Mapped(x, MapFunction.Exp, 0);

    /// <summary>Returns cos x of each element, in radians.</summary>
    public static Expression Cos(this Expression x) => new Mapped(x, MapFunction.Cos, 0);

    /// <summary>Returns sin x of each element, in radians.</summary>
    public static Expression Sin(this Expression x) => new Mapped(x, MapFunction.Sin, 0);

    /// <summary>Returns max(x, floor) of each element; a ReLU with floor 0.</summary>
    public static Expression Max(this Expression x, double floor) => new Mapped(x, MapFunction.Max, floor);

    /// <summary>Returns x² of each element.</summary>
    public static Expression Square(this Expression x) => new Mapped(x, MapFunction.Square, 0);

    /// <summary>Returns the sign of each element: 1, −1, or 0 at 0. Its gradient is 0.</summary>
    public static Expression Sign(this Expression x) => new Mapped(x, MapFunction.Sign, 0);

    /// <summary>
    /// Returns x, whose gradient goes to another expression of the same shape, unchanged: for steps that have no useful
    /// derivative, such as rounding (Bengio, Léonard and Courville, 2013, arXiv 1308.3432).
    /// </summary>
    /// <param name="x">The value.</param>
    /// <param name="through">What receives the gradient.</param>
    public static Expression StraightThrough(this Expression x, Expression through) => new StraightThrough(x, through);

    /// <summary>Stacks matrices [m_i, n] below each other.</summary>
    public static Expression ConcatRows(params Expression[] parts) => new Concatenation(parts, rows: true);

    /// <summary>Joins matrices [m, n_i] side by side.</summary>
    public static Expression ConcatColumns(params Expression[] parts) => new Concatenation(parts, rows: false);

    /// <summary>Returns the rectangle [rows, columns] of a matrix that begins at a row and column.</summary>
    /// <param name="x">The matrix.</param>
    /// <param name="row">The first row.</param>
    /// <param name="column">The first column.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="columns">The number of columns.</param>
    public static Expression Block(this Expression x, int row, int column, int rows, int columns) =>
        new MatrixBlock(x, row, column, rows, columns);

    /// <summary>Returns the same elements in another shape, at no cost.</summary>
    public static Expression Reshape(this Expression x, Shape shape) => new Reshaped(x, shape);

    /// <summary>Exchanges the last two dimensions. A product can transpose its operands at no cost instead.</summary>
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

    /// <summary>Reorders dimensions: dimension k of the result is dimension axes[k] of x.</summary>
    public static Expression Permute(this Expression x, params int[] axes) => new Permuted(x, axes);

    /// <summary>
    /// Inverts matrices [b, n, n] or one [n, n], with n up to 256 and F64 arithmetic. The result is infinite or NaN
    /// where a matrix is singular.
    /// </summary>
    public static Expression Inverse(this Expression x) =>
        x.Shape.Rank == 2 ? new Inverted(x.Reshape((1, x.Shape[0], x.Shape[1]))).Reshape(x.Shape) : new Inverted(x);

    /// <summary>
    /// Returns Cayley's rotations of skew-symmetric S [b, n, n], (I − S)(I + S)⁻¹ = 2(I + S)⁻¹ − I; or the opposite
    /// ones, (I + S)(I − S)⁻¹ = 2(I − S)⁻¹ − I.
    /// </summary>
    public static Expression Cayley(this Expression s, bool opposite = false) =>
        s.AddIdentity(1, opposite ? -1 : 1).Inverse().AddIdentity(-1, 2);

    /// <summary>
    /// Returns PEFT's replacement for <see cref="Cayley"/>, the series I + 2S + 2S² + … + S^d, which approximates the
    /// <em>opposite</em> rotations. d is terms − 1, and at least 3: the published code gives the same for 3 and for 4
    /// terms.
    /// </summary>
    /// <param name="s">The skew-symmetric matrices S [b, n, n].</param>
    /// <param name="terms">The number of terms, at least 3; PEFT's default is 5.</param>
    /// <param name="twiceTheLast">
    /// Whether the last term counts twice, like those before it, as in PEFT 0.16 and 0.17.
    /// </param>
    public static Expression Neumann(this Expression s, int terms = 5, bool twiceTheLast = false)
    {
        if (terms < 3)
            throw new ArgumentOutOfRangeException(nameof(terms), terms, "a series of at least 3 terms");
        // Horner's scheme: begin with S + 2I, multiply by S and add 2I for each middle term, then multiply by S and add
        // I.
        Expression series = twiceTheLast ? s.Scale(2) : s;
        for (int power = (twiceTheLast ? terms : Math.Max(terms, 4)) - 2; power > 0; power--)
            series = s.MatMul(series.AddIdentity(2));
        return series.AddIdentity();
    }

    /// <summary>
    /// Returns origin + Σ_i α_i u_i. Each u_i is uniform in ±bound, drawn again from the seed wherever it is read and
    /// never stored (NOLA, arXiv 2310.02556). Drawing costs about 25 integer operations per element and direction, in
    /// forward and in backward.
    /// </summary>
    /// <param name="alpha">The coefficients α [n].</param>
    /// <param name="origin">The origin, of the given shape; null: zeros.</param>
    /// <param name="shape">The shape of each u_i.</param>
    /// <param name="seed">The seed of the random directions.</param>
    /// <param name="firstStream">The random stream of u_0; that of u_i is i more.</param>
    /// <param name="bound">The largest absolute value of an element of u_i.</param>
    public static Expression RandomCombination(
        this Expression alpha,
        Expression? origin,
        Shape shape,
        ulong seed,
        ulong firstStream,
        double bound
    ) => new RandomSum(alpha, origin, shape, seed, firstStream, bound);

    /// <summary>
    /// Returns rows Σ_j π_j bank_j over the k largest logits of each row, with π their softmax (VB-LoRA, arXiv
    /// 2405.15179).
    /// </summary>
    /// <param name="logits">The logits [p, n].</param>
    /// <param name="bank">The bank of vectors, [n, length].</param>
    /// <param name="k">The number of vectors in each mixture, 1 to 8.</param>
    public static Expression TopKMixture(this Expression logits, Expression bank, int k) =>
        new BankMixture(logits, bank, k);
}
