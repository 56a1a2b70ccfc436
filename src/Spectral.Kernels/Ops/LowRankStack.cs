using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes layers with low-rank updates that read the same x, such as q, k and v. Their R stand below one another in
/// one [Σp, in], so that one pass over x gives z of all layers, and another the gradients of all R. The result of each
/// layer is that of <see cref="LowRankLinear"/>.
/// </summary>
public sealed class LowRankStack : IDisposable
{
    private readonly LowRankFactors[] _members;
    private readonly int[] _from;
    private readonly Tensor _right;
    private readonly Tensor? _middle;
    private readonly float _scale;
    private readonly bool _rectified;

    /// <summary>Makes a stack of one layer, which borrows the tensors of the factors.</summary>
    public LowRankStack(LowRankFactors factors)
        : this([factors], factors.Right, factors.Middle, factors.Scale) { }

    /// <summary>Makes a stack of several layers.</summary>
    /// <param name="lefts">L [out, p] of each.</param>
    /// <param name="right">R [Σp, in] of all, in the same order. Borrowed, like the others.</param>
    /// <param name="middle">c [Σp] F32 of all, or null for all ones.</param>
    /// <param name="scale">Factor of all updates.</param>
    /// <param name="rectified">Whether z goes through a ReLU, as in parallel adapters (He et al., "Towards a Unified
    /// View of PEFT", 2022).</param>
    /// <exception cref="ArgumentException">The ranks do not add up.</exception>
    public LowRankStack(
        IReadOnlyList<Tensor> lefts,
        Tensor right,
        Tensor? middle,
        float scale = 1,
        bool rectified = false
    )
        : this(Slice(lefts, right, middle, scale), right, middle, scale) => (Sliced, _rectified) = (true, rectified);

    private LowRankStack(LowRankFactors[] members, Tensor right, Tensor? middle, float scale)
    {
        (_members, _right, _middle, _scale) = (members, right, middle, scale);
        _from = new int[members.Length];
        for (int j = 1; j < members.Length; j++)
            _from[j] = _from[j - 1] + members[j - 1].Rank;
    }

    /// <summary>Updates of the layers; R and c are views into those of the stack.</summary>
    public IReadOnlyList<LowRankFactors> Members => _members;

    /// <summary>Sum of the ranks of all layers, Σp.</summary>
    public int Rank => _from[^1] + _members[^1].Rank;

    /// <summary>c [Σp] of all layers, or null.</summary>
    internal Tensor? Middle => _middle;

    /// <summary>Factor of all updates.</summary>
    internal float Scale => _scale;

    private bool Sliced { get; }

    /// <summary>Disposes the views; the borrowed tensors stay.</summary>
    public void Dispose()
    {
        if (!Sliced)
            return;
        foreach (LowRankFactors member in _members)
        {
            member.Right.Dispose();
            member.Middle?.Dispose();
        }
    }

    /// <summary>
    /// Computes y = x Wᵀ + bias + Scale · (z ∘ c) Lᵀ for each layer, with its own columns of z = x Rᵀ, through a ReLU
    /// in a rectified stack; z is kept for <see cref="Backward"/>.
    /// </summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="layers">W and bias of each layer, same type.</param>
    /// <param name="ys">[M, out] of each layer, same type; overwritten.</param>
    /// <param name="z">[M, Σp], same type; overwritten.</param>
    /// <param name="dropout">Applied to the x of z, one mask for all layers; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public void Forward(
        Tensor x,
        ReadOnlySpan<LowRankLayer> layers,
        ReadOnlySpan<Tensor> ys,
        Tensor z,
        DropoutMask? dropout = null
    )
    {
        VerifyOneEach(layers.Length, nameof(layers));
        VerifyOneEach(ys.Length, nameof(ys));
        Check.Floating(x, [-1, -1]);
        int rows = x.Dim(0);
        for (int j = 0; j < layers.Length; j++)
        {
            FrozenWeight weight = layers[j].Weight;
            VerifyLayer(weight, _members[j], x);
            Check.Floating(x, [rows, weight.Columns]);
            Check.Operand(ys[j], x, [rows, weight.Rows], "y");
            if (layers[j].Bias is { } bias)
                Check.Operand(bias, x, [weight.Rows]);
        }
        Check.Operand(z, x, [rows, Rank]);
        if (rows == 0)
            return;

        var variants = new LowRankLinearVariant?[layers.Length];
        for (int j = 0; j < layers.Length; j++)
        {
            LowRankLayerProduct product = Output(x, layers[j], j, dropout);
            if (!product.IsEmpty)
                variants[j] = product.Choose();
        }
        using Tensor? scaled = Scaled(variants, z);
        Project(x, z, scaled, dropout);
        for (int j = 0; j < layers.Length; j++)
        {
            if (variants[j] is not { } variant)
                continue;
            LowRankLayerProduct product = Output(x, layers[j], j, dropout);
            product.Run(variant, Mine(scaled ?? z, j), scaled is null ? _scale : 1, ys[j], accumulate: false);
        }
    }

    /// <summary>
    /// Adds Scale · (z ∘ c) Lᵀ to the output of each layer, with its own columns of z = x Rᵀ, through a ReLU in a
    /// rectified stack. It is for rows whose frozen products are computed already, together with rows of other
    /// adapters.
    /// </summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="ys">[M, out] of each layer, same type; added to.</param>
    /// <param name="z">[M, Σp], same type; overwritten.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public void Add(Tensor x, ReadOnlySpan<Tensor> ys, Tensor z)
    {
        VerifyOneEach(ys.Length, nameof(ys));
        Check.Floating(x, [-1, -1]);
        int rows = x.Dim(0);
        for (int j = 0; j < ys.Length; j++)
        {
            _members[j].Verify(_members[j].Left.Dim(0), x.Dim(1), x);
            Check.Operand(_members[j].Left, x);
            Check.Operand(ys[j], x, [rows, _members[j].Left.Dim(0)], "y");
        }
        Check.Operand(z, x, [rows, Rank]);
        if (rows == 0)
            return;
        using Tensor? scaled = _middle is null ? null : Tensor.Empty(z.Device, z.Shape, z.DType);
        Project(x, z, scaled, null);
        for (int j = 0; j < ys.Length; j++)
        {
            Tensor left = _members[j].Left;
            Gemm.Run(
                Mine(scaled ?? z, j).Operand,
                new GemmOperand(left, 0, _members[j].Rank).Transpose(),
                new GemmOperand(ys[j], 0, Math.Max(1, left.Dim(0))),
                new GemmSize(rows, left.Dim(0), _members[j].Rank),
                scaled is null ? _scale : 1,
                1
            );
        }
    }

    /// <summary>
    /// The adjoint of <see cref="Forward"/>. With g = dy L of each layer, <c>dx = Σ dy W + Scale · (g ∘ c) R</c> over
    /// the layers, where dropout also masks the second term, and <c>dL = Scale · dyᵀ (z ∘ c)</c>, <c>dcᵢ = Scale · Σₜ
    /// gₜᵢ zₜᵢ</c>, <c>dR = Scale · (g ∘ c)ᵀ x</c>; only what is asked for.
    /// </summary>
    /// <param name="x">[M, in] of the forward pass; may be null when no gradient of R is wanted.</param>
    /// <param name="layers">The layers; biases are not used.</param>
    /// <param name="z">[M, Σp], what the forward pass kept.</param>
    /// <param name="dys">[M, out] of each layer.</param>
    /// <param name="dx">[M, in], or null when it is not wanted.</param>
    /// <param name="gradients">Where the parameters' gradients go, for each layer.</param>
    /// <param name="accumulate">Which results are added to what their tensors hold.</param>
    /// <param name="dropout">That of the forward pass.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public void Backward(
        Tensor? x,
        ReadOnlySpan<LowRankLayer> layers,
        Tensor z,
        ReadOnlySpan<Tensor> dys,
        Tensor? dx,
        ReadOnlySpan<LowRankGradients> gradients,
        Accumulate accumulate = Accumulate.Nothing,
        DropoutMask? dropout = null
    )
    {
        VerifyOneEach(layers.Length, nameof(layers));
        VerifyOneEach(dys.Length, nameof(dys));
        VerifyOneEach(gradients.Length, nameof(gradients));
        Check.Floating(dys[0], [-1, -1], "dy");
        int rows = dys[0].Dim(0);
        Check.Operand(z, dys[0], [rows, Rank], likeName: "dy");
        var targets = new List<(Tensor, int)>(layers.Length);
        for (int j = 0; j < layers.Length; j++)
        {
            FrozenWeight weight = layers[j].Weight;
            VerifyLayer(weight, _members[j], dys[0], "dy");
            Check.Operand(dys[j], dys[0], [rows, weight.Rows], "dy", "the first dy");
            gradients[j].Verify(weight.Rows, weight.Columns, _members[j].Rank, z);
            if (_rectified && gradients[j].Middle is not null)
                throw new ArgumentException("a rectified stack has no gradient of c", nameof(gradients));
            if (gradients[j].Right is { } right)
                targets.Add((right, _from[j] + gradients[j].RightFrom));
        }
        int inputs = _right.Dim(1);
        if (x is not null)
            Check.Operand(x, z, [rows, inputs]);
        if (dx is not null)
            Check.Operand(dx, z, [rows, inputs]);
        if (x is null && targets.Count > 0)
            throw new ArgumentNullException(nameof(x), "the gradient of R needs the layer's input");

        var variants = new LowRankLinearVariant?[layers.Length];
        bool wantsDx = dx is not null && rows > 0 && inputs > 0;
        bool stacked = dropout is not null;
        if (wantsDx && !stacked)
        {
            for (int j = 0; j < layers.Length; j++)
                variants[j] = InputGradient(dys[j], layers[j], j).Choose();
            stacked = Array.TrueForAll(variants, variant => variant!.Kind == LowRankVariant.ComposedB);
        }
        using var g = Tensor.Empty(z.Device, z.Shape, z.DType);
        using Tensor? scaled = Scaled(variants, g);
        for (int j = 0; j < layers.Length; j++)
        {
            LowRank.OutputGradients(
                dys[j],
                _members[j],
                Mine(z, j),
                Mine(g, j),
                scaled is null ? null : new ColumnRange?(Mine(scaled, j)),
                gradients[j],
                accumulate.HasFlag(Accumulate.Gradients)
            );
        }

        if (_rectified)
        {
            Rectifier.Backward(z, g);
            if (scaled is not null)
                Rectifier.Backward(z, scaled);
        }
        Tensor source = scaled ?? g;
        float scale = scaled is null ? _scale : 1;
        if (targets.Count > 0)
        {
            LowRank.InputGradient(
                source,
                x!,
                CollectionsMarshal.AsSpan(targets),
                scale,
                accumulate.HasFlag(Accumulate.Gradients),
                dropout
            );
        }

        if (!wantsDx)
            return;
        if (stacked)
        {
            StackedInputGradient(source, scale, layers, dys, dx!, accumulate.HasFlag(Accumulate.Dx), dropout);
        }
        else
        {
            for (int j = 0; j < layers.Length; j++)
            {
                bool add = accumulate.HasFlag(Accumulate.Dx) || j > 0;
                InputGradient(dys[j], layers[j], j).Run(variants[j]!, Mine(source, j), scale, dx!, add);
            }
        }
    }

    // Computes z, and Scale · c ∘ z where it is wanted.
    private void Project(Tensor x, Tensor z, Tensor? scaled, DropoutMask? dropout)
    {
        LowRank.Project(
            x,
            _right,
            z,
            _middle,
            _scale,
            scaled is null || _rectified ? null : new ColumnRange?(scaled),
            dropout
        );
        if (!_rectified)
            return;
        Rectifier.Forward(z);
        if (scaled is not null)
            LowRankReduce.ScaleColumns(z, _middle, _scale, scaled);
    }

    // Order B for all layers at once: one low-rank product over Σp first, then the frozen ones, each added. Dropout
    // masks the first alone, and no frozen product may be in dx by then: hence this order, and a detour when dx is to
    // be added to (2 or 3 passes over dx more).
    private void StackedInputGradient(
        Tensor source,
        float scale,
        ReadOnlySpan<LowRankLayer> layers,
        ReadOnlySpan<Tensor> dys,
        Tensor dx,
        bool accumulate,
        DropoutMask? dropout
    )
    {
        using Tensor? apart = dropout is not null && accumulate ? Tensor.Empty(dx.Device, dx.Shape, dx.DType) : null;
        Gemm.Run(source, _right, apart ?? dx, scale, accumulate && apart is null ? 1 : 0);
        if (dropout is not null)
            Dropout.Run(apart ?? dx, dx, dropout, accumulate: accumulate);
        for (int j = 0; j < layers.Length; j++)
        {
            FrozenProduct.InputGradient(dys[j], layers[j].Weight, dx, beta: 1);
        }
    }

    // A middle diagonal goes into a copy of z or g, and so does a scale where some variant takes none.
    private Tensor? Scaled(LowRankLinearVariant?[] variants, Tensor like) =>
        _middle is not null || (_scale != 1 && Array.Exists(variants, variant => variant is { IsLibrary: false }))
            ? Tensor.Empty(like.Device, like.Shape, like.DType)
            : null;

    private LowRankLayerProduct Output(Tensor x, LowRankLayer layer, int j, DropoutMask? dropout) =>
        new(LowRankDirection.Forward, x, layer, _members[j].Left, dropped: dropout is not null);

    private LowRankLayerProduct InputGradient(Tensor dy, LowRankLayer layer, int j) =>
        new(LowRankDirection.InputGradient, dy, layer with { Bias = null }, _members[j].Right);

    private ColumnRange Mine(Tensor matrix, int j) => new(matrix, _from[j], _members[j].Rank);

    private static LowRankFactors[] Slice(IReadOnlyList<Tensor> lefts, Tensor right, Tensor? middle, float scale)
    {
        int all = lefts.Sum(left => left.Dim(1));
        Check.Floating(right, [all, -1]);
        if (middle is not null)
            Check.Operand(middle, right, DType.F32, [all]);
        var members = new LowRankFactors[lefts.Count];
        int from = 0;
        for (int j = 0; j < members.Length; j++)
        {
            int rank = lefts[j].Dim(1);
            members[j] = new LowRankFactors(lefts[j], middle?.Rows(from, rank), right.Rows(from, rank), scale);
            from += rank;
        }

        return members;
    }

    private void VerifyOneEach(int length, string name)
    {
        if (length != _members.Length)
        {
            throw new ArgumentException(
                $"{length} {name}, expected one for each of the {_members.Length} layers",
                name
            );
        }
    }

    private static void VerifyLayer(
        in FrozenWeight weight,
        LowRankFactors factors,
        Tensor activation,
        [CallerArgumentExpression(nameof(activation))] string activationName = ""
    )
    {
        weight.Verify(activation, nameof(weight), activationName);
        factors.Verify(weight.Rows, weight.Columns, activation);
        Check.Operand(factors.Left, activation, name: nameof(factors.Left), likeName: activationName);
    }
}
