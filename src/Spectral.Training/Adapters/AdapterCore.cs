using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The form of one layer as the kernels read it, in the compute type: L [out, p], c [p] and R [p, in], where p is the
/// sum of the terms' ranks, and the form's other results. Values without a trainable factor are packed once, the rest
/// after each optimizer step.
/// </summary>
public sealed class AdapterCore : ILayerAdapter, IDisposable
{
    // Results of up to this rank keep their memory between steps. No kernel takes more; whole weights are larger.
    private const long KeptRank = 256;

    private readonly AdapterForm _form;
    private readonly IReadOnlyList<LowRankTerm> _terms;
    private readonly ExpressionGraph _graph;
    private readonly ExpressionGraph? _penalty;
    private readonly AdaptedModule _module;
    private readonly Linear _layer;
    private readonly Tensor? _weight;
    private readonly Tensor? _bias;
    private readonly int _leftFrom;
    private readonly int _rightFrom;
    private readonly int _middleCount;

    /// <summary>Packs the current values of the factors.</summary>
    /// <param name="module">The adapted layer's factors and form.</param>
    /// <param name="layer">The base layer.</param>
    /// <param name="packed">
    /// The memory to pack the terms into; a middle diagonal in it already holds their scales. Null where there are no
    /// terms.
    /// </param>
    /// <param name="dtype">The compute type.</param>
    internal AdapterCore(AdaptedModule module, Linear layer, LowRankFactors? packed, DType dtype)
    {
        (_module, _layer, _form, Factors) = (module, layer, module.Form, packed);
        _terms = _form.Terms;
        _leftFrom = First(term => term.Left.Trains);
        _rightFrom = First(term => term.Right.Trains);
        _middleCount = End(term => term.Middle is { Trains: true });
        module.BindBase(layer);
        long kept = KeptRank * (module.Shape.Out + module.Shape.In);
        _graph = new ExpressionGraph(_form.Outputs, kept);
        _penalty = _form.Penalty is null ? null : new ExpressionGraph([_form.Penalty], kept);
        Device device = layer.Weight.Device;
        _weight = _form.Weight is null ? null : Tensor.Empty(device, (module.Shape.Out, module.Shape.In), dtype);
        _bias = _form.Bias is null ? null : Tensor.Empty(device, module.Shape.Out, dtype);
        Pack(all: true);
    }

    /// <summary>The rank p of the core, the sum of its terms' ranks.</summary>
    public int Rank => _form.Rank;

    /// <summary>The packed L, c and R; null when the form has no terms.</summary>
    public LowRankFactors? Factors { get; }

    /// <summary>
    /// The weight that the layer computes with: the base weight, quantised or not, unless the form replaces it.
    /// </summary>
    internal FrozenWeight Weight => _weight is null ? _layer.Weight.Frozen : _weight;

    /// <summary>The bias that the layer computes with, or null.</summary>
    public Tensor? Bias => _bias ?? _layer.Bias?.Value;

    /// <summary>The scales a [in] of the layer's inputs, F32, or null.</summary>
    public Tensor? InputScale => _form.InputScale?.Value;

    /// <summary>The scales ρ [out] of the layer's outputs, F32, or null.</summary>
    public Tensor? OutputScale => _form.OutputScale?.Value;

    /// <summary>Whether one of the factors trains in the current step.</summary>
    public bool Trains => _module.Trains;

    /// <summary>Whether the trainable factors have gradient buffers, in this step or in others.</summary>
    internal bool HasGradients =>
        _module.AllFactors.Any(factor => factor.Trains && factor.Parameter.Gradient is not null);

    /// <inheritdoc/>
    bool ILayerAdapter.NeedsInput =>
        (_rightFrom < Rank && IsWanted(term => term.Right))
        || _form.Weight is { Trains: true }
        || _form.Entries.Any(change => change.Values.Trains)
        || _form.InputScale is { Trains: true };

    /// <summary>Whether any column of L or row of R trains.</summary>
    internal bool TrainsFactors => _leftFrom < Rank || _rightFrom < Rank;

    /// <summary>Whether any entry of c trains.</summary>
    internal bool TrainsMiddle => _middleCount > 0;

    /// <summary>Whether the form's expressions read the base weight.</summary>
    internal bool ReadsWeight => _module.ReadsWeight;

    /// <summary>Whether each rank keeps a part of the base weight.</summary>
    internal bool IsSharded => _layer.Weight.IsSharded;

    /// <summary>The form that is packed here, for members that the packed tensors do not cover.</summary>
    internal AdapterForm Form => _form;

    /// <inheritdoc/>
    Variable ILayerAdapter.LookUp(Tape tape, Linear embedding, Tensor tokens, TokenOrder? order) =>
        AdaptedEmbeddingNode.Apply(tape, embedding, this, tokens, order);

    /// <summary>Recomputes and packs what derives from trainable masters, or everything.</summary>
    internal void Refresh(bool all)
    {
        _graph.Renew(all);
        Pack(all);
    }

    /// <summary>
    /// Returns the buffers to which backward adds the gradients of L, c and R. A factor that is the only trainable one
    /// on its side is added to directly. Otherwise the buffer is an intermediate that begins at zero, because the
    /// kernels accumulate into all gradients or into none.
    /// </summary>
    internal LowRankGradients Gradients()
    {
        Device device = _layer.Weight.Device;
        bool wantsLeft = _leftFrom < Rank && IsWanted(term => term.Left);
        bool wantsRight = _rightFrom < Rank && IsWanted(term => term.Right);
        return new LowRankGradients(
            wantsLeft ? DirectLeft ?? Tensor.Zeros(device, (_module.Shape.Out, Rank - _leftFrom)) : null,
            _leftFrom,
            _middleCount == 0 ? null : Tensor.Zeros(device, _middleCount),
            wantsRight ? DirectRight ?? Tensor.Zeros(device, (Rank - _rightFrom, _module.Shape.In)) : null,
            _rightFrom
        );
    }

    /// <summary>Passes the gradients of L, c and R from the intermediates on to the terms.</summary>
    internal void Finish(in LowRankGradients gradients)
    {
        (Tensor? left, Tensor? middle, Tensor? right) = (gradients.Left, gradients.Middle, gradients.Right);
        int offset = 0;
        foreach (LowRankTerm term in _terms)
        {
            if (term.Left.Trains && left is not null && DirectLeft is null)
                Add(left, 0, offset - _leftFrom, 1, term.Left);
            if (term.Right.Trains && right is not null && DirectRight is null)
                Add(right, offset - _rightFrom, 0, 1, term.Right);
            if (term.Middle is { Trains: true } && middle is not null)
            {
                using Tensor row = middle.View((1, _middleCount));
                Add(row, 0, offset, (float)term.Scale, term.Middle);
            }
            offset += term.Rank;
        }
    }

    /// <summary>Disposes the intermediates that <see cref="Gradients"/> allocated.</summary>
    internal void Release(in LowRankGradients gradients)
    {
        if (gradients.Left is { } left && DirectLeft is null)
            left.Dispose();
        gradients.Middle?.Dispose();
        if (gradients.Right is { } right && DirectRight is null)
            right.Dispose();
    }

    /// <summary>Passes the gradients in the buffers of the form's parts on to the factors.</summary>
    internal void Backward() => _graph.Backward();

    /// <summary>Adds the gradient of the form's penalty to the gradients of the factors.</summary>
    internal void AddPenalty()
    {
        if (_penalty is null || _form.Penalty!.GradientBuffer(out _) is not { } gradient)
            return;
        _penalty.Renew(all: true);
        // The 1 is written by kernel launches only, so that a captured step includes it.
        gradient.Clear();
        using (Tensor one = gradient.View((1, 1)))
            Combine.AddIdentity(one, 1, 1, one);
        _penalty.Backward();
    }

    /// <summary>
    /// Copies the weight that the layer computes with. With an adapter attached, the weight itself may be part of a
    /// wider buffer.
    /// </summary>
    public Tensor CopyWeight() => WithEntries() ?? Copy();

    /// <summary>
    /// Computes the sum of the base weight and the form's entries, in the compute type; null where the form has none.
    /// The caller disposes it.
    /// </summary>
    internal Tensor? WithEntries()
    {
        if (_form.Entries.Count == 0)
            return null;
        Tensor sum = Copy();
        AddEntries(sum);
        return sum;
    }

    /// <summary>
    /// Computes the plain weight with the same effect, diag(ρ) (W' + Σ s L diag(c) R) diag(a), [out, in] F32. Sums are
    /// F32 and rounded once.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// No plain weight has the same effect (<see cref="AdapterForm.IsMergeable"/>).
    /// </exception>
    public float[] MergedWeight()
    {
        if (!_form.IsMergeable)
            throw new InvalidOperationException($"{_module.Shape.Name}: its form is not a change of the weight");
        using Tensor weight = Copy();
        using var merged = Tensor.Empty(weight.Device, weight.Shape);
        Cast.Run(weight, merged);
        AddEntries(merged);
        if (Factors is { } factors)
            LowRank.Merge(merged, factors, merged);
        if (InputScale is { } inputs)
            ScaleShift.Forward(merged, inputs, null, merged);
        float[] values = merged.ToArray();
        if (OutputScale?.ToArray() is { } outputs)
        {
            for (int i = 0; i < values.Length; i++)
                values[i] *= outputs[i / merged.Dim(1)];
        }

        return values;
    }

    /// <summary>
    /// Computes Σ s L diag(c) R + S, [out, in] F32: the low-rank terms and the entries without the base weight.
    /// </summary>
    internal float[] ChangeAlone()
    {
        using var sum = Tensor.Zeros(_layer.Weight.Device, (_module.Shape.Out, _module.Shape.In));
        if (Factors is { } factors)
            LowRank.Merge(sum, factors, sum);
        AddEntries(sum);
        return sum.ToArray();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _graph.Clear();
        _penalty?.Clear();
        foreach (SparseChange change in _form.Entries)
            change.Whole?.Clear();
        _weight?.Dispose();
        _bias?.Dispose();
    }

    private Tensor Copy() => _weight is null ? _layer.Weight.Copy() : ((ColumnRange)_weight).Copy();

    private void AddEntries(Tensor weight)
    {
        foreach (SparseChange change in _form.Entries)
            Entries.Add(change.Values.Value, change.Index, weight);
    }

    private Tensor? DirectLeft => Direct(_leftFrom, _terms[^1].Left);

    private Tensor? DirectRight => Direct(_rightFrom, _terms[^1].Right);

    /// <summary>
    /// Returns the gradient of a factor that is one side of the last term and alone from row or column
    /// <paramref name="from"/> on; null if there is no such factor.
    /// </summary>
    private Tensor? Direct(int from, Expression side) =>
        side is Factor factor && from == Rank - _terms[^1].Rank ? factor.Parameter.Gradient : null;

    /// <summary>Returns whether anything on one side of the terms trains in this step.</summary>
    private bool IsWanted(Func<LowRankTerm, Expression> side) =>
        _terms.Select(side).Any(value => value.Trains && value is not Factor { Parameter.IsPaused: true });

    private static void Add(Tensor source, int row, int column, float scale, Expression target)
    {
        Tensor buffer = target.GradientBuffer(out bool accumulate)!;
        if (!accumulate)
            buffer.Clear();
        using Tensor matrix =
            target.Shape.Rank == 2 ? buffer.Share() : buffer.View((1, checked((int)target.Shape.Count)));
        CopyBlock.Add(source, row, column, matrix, scale);
    }

    private void Pack(bool all)
    {
        int offset = 0;
        foreach (LowRankTerm term in _terms)
        {
            if (all || term.Left.Varies)
                CopyBlock.Run(term.Left.Value, Factors!.Left, 0, offset);
            if (all || term.Right.Varies)
                CopyBlock.Run(term.Right.Value, Factors!.Right, offset, 0);
            if (term.Middle is { } middle && (all || middle.Varies))
                PackMiddle(middle, term, offset);
            offset += term.Rank;
        }
        if (_weight is not null && (all || _form.Weight!.Varies))
            Cast.Run(_form.Weight!.Value, _weight);
        if (_bias is not null && (all || _form.Bias!.Varies))
        {
            using Tensor flat = _form.Bias!.Value.View(_bias.Shape);
            Cast.Run(flat, _bias);
        }
        // The layer reads the scales where they are. They are evaluated here because a captured step's graph has no
        // other place for it.
        _ = (InputScale, OutputScale);
        _graph.Trim();
    }

    private void PackMiddle(Expression middle, LowRankTerm term, int offset)
    {
        using Tensor part = Factors!.Middle!.Rows(offset, term.Rank);
        using Tensor row = part.View((1, term.Rank));
        using Tensor values = middle.Value.View((1, term.Rank));
        row.Clear();
        CopyBlock.Add(values, 0, 0, row, (float)term.Scale);
    }

    private int First(Func<LowRankTerm, bool> trains)
    {
        int offset = 0;
        foreach (LowRankTerm term in _terms)
        {
            if (trains(term))
                return offset;
            offset += term.Rank;
        }
        return offset;
    }

    private int End(Func<LowRankTerm, bool> trains)
    {
        (int offset, int end) = (0, 0);
        foreach (LowRankTerm term in _terms)
        {
            offset += term.Rank;
            if (trains(term))
                end = offset;
        }
        return end;
    }
}
