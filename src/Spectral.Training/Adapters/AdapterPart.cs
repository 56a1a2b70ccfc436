using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The adapted layers among siblings that read the same x, scaled or not, so that one pass over x serves the terms of
/// all of them.
/// </summary>
internal sealed class AdapterPart : IDisposable
{
    private readonly int[] _places;
    private readonly Linear[] _layers;
    private readonly AdapterCore[] _cores;
    private readonly LowRankStack? _factors;
    private readonly Tensor? _right;
    private readonly Tensor? _middle;

    /// <summary>Packs the current values of the factors.</summary>
    /// <param name="places">The layers' indices among their siblings.</param>
    /// <param name="layers">The layers; only one if its form scales its inputs or has no terms.</param>
    /// <param name="modules">The adapted modules of these layers.</param>
    /// <param name="dtype">The compute type.</param>
    public AdapterPart(int[] places, Linear[] layers, AdaptedModule[] modules, DType dtype)
    {
        (_places, _layers) = (places, layers);
        LowRankTerm[] terms = [.. modules.SelectMany(module => module.Form.Terms)];
        if (terms.Length > 0)
        {
            Device device = layers[0].Weight.Device;
            Rank = terms.Sum(term => term.Rank);
            _right = Tensor.Empty(device, (Rank, layers[0].In), dtype);
            // A scale that all terms share costs nothing. Different scales become a diagonal, which is applied while z
            // is written.
            bool uniform = terms.All(term => term.Middle is null && term.Scale == terms[0].Scale);
            _middle = uniform
                ? null
                : Tensor.From(
                    device,
                    terms.SelectMany(term => Enumerable.Repeat((float)term.Scale, term.Rank)).ToArray(),
                    Rank
                );
            Tensor[] lefts =
            [
                .. modules.Select(module => Tensor.Empty(device, (module.Shape.Out, module.Form.Rank), dtype)),
            ];
            _factors = new LowRankStack(
                lefts,
                _right,
                _middle,
                uniform ? (float)terms[0].Scale : 1,
                modules[0].Form.Rectified
            );
        }
        _cores = [.. modules.Select((module, i) => module.Pack(layers[i], _factors?.Members[i], dtype))];
    }

    /// <summary>The layers' indices among their siblings.</summary>
    public IReadOnlyList<int> Places => _places;

    /// <summary>The layers' cores, in the order of <see cref="Places"/>.</summary>
    public IReadOnlyList<AdapterCore> Cores => _cores;

    /// <summary>The packed low-rank terms of all layers; null where a form has none.</summary>
    public LowRankStack? Factors => _factors;

    /// <summary>Whether L or R of any layer trains.</summary>
    public bool TrainsFactors => Array.Exists(_cores, core => core.TrainsFactors);

    /// <summary>Whether c of any layer trains.</summary>
    public bool TrainsMiddle => Array.Exists(_cores, core => core.TrainsMiddle);

    /// <summary>The sum of the layers' ranks; 0 where a form has no terms.</summary>
    public int Rank { get; }

    /// <summary>Makes the layers compute with their adapters.</summary>
    public void Attach()
    {
        foreach ((Linear layer, AdapterCore core) in _layers.Zip(_cores))
            layer.Adapter = core;
    }

    /// <summary>
    /// Computes the layers' outputs before any output scale. Biases are added unless an output scale follows.
    /// </summary>
    /// <param name="x">The input [N, in]; scaled already if the form scales it.</param>
    /// <param name="values">
    /// The outputs [N, out] of all sibling layers; those of this part's layers are overwritten.
    /// </param>
    /// <param name="projected">x Rᵀ [N, <see cref="Rank"/>]; overwritten. Null where there are no terms.</param>
    /// <param name="dropout">The mask on the terms' x; null: none.</param>
    public void Forward(Tensor x, Tensor[] values, Tensor? projected, DropoutMask? dropout)
    {
        if (_factors is not null)
        {
            _factors.Forward(x, Layers(), [.. _places.Select(place => values[place])], projected!, dropout);
            return;
        }
        (AdapterCore core, Tensor value) = (_cores[0], values[_places[0]]);
        using Tensor? sum = core.WithEntries();
        FrozenProduct.Forward(x, sum ?? core.Weight, value);
        if (core.OutputScale is null && core.Bias is not null)
            AddBias.Run(value, core.Bias);
    }

    /// <summary>
    /// Adds what the adapters change to outputs of the plain layers. Where they do not only add low-rank terms, the
    /// outputs are computed anew.
    /// </summary>
    /// <param name="x">The input [N, in].</param>
    /// <param name="values">The outputs [N, out] of all sibling layers, with their biases.</param>
    public void AddTo(Tensor x, Tensor[] values)
    {
        (Device device, DType type) = (x.Device, x.DType);
        using Tensor? projected = Rank == 0 ? null : Tensor.Empty(device, (x.Dim(0), Rank), type);
        if (Array.TrueForAll(_cores, core => core.Form.AddsToOutput))
        {
            _factors!.Add(x, [.. _places.Select(place => values[place])], projected!);
            return;
        }

        using Tensor? scaled = _cores[0].InputScale is null ? null : Tensor.Empty(device, x.Shape, type);
        if (scaled is not null)
            ScaleShift.Forward(x, _cores[0].InputScale!, null, scaled);
        Forward(scaled ?? x, values, projected, null);
        foreach ((int place, AdapterCore core) in _places.Zip(_cores))
        {
            if (core.OutputScale is { } scale)
                ScaleShift.Forward(values[place], scale, core.Bias, values[place]);
        }
    }

    /// <summary>Adds the gradients of what trains and computes the layers' share of the gradient of x.</summary>
    /// <param name="x">The x of the forward pass; null where nothing reads it.</param>
    /// <param name="sample">The rows that <paramref name="x"/> consists of; null: all of them.</param>
    /// <param name="projected">x Rᵀ, saved by forward.</param>
    /// <param name="gradients">
    /// The gradients dy [N, out] of the outputs of all sibling layers, before any output scale.
    /// </param>
    /// <param name="dx">The gradient of x, [N, in]; null where nobody needs it.</param>
    /// <param name="accumulate">Whether to add to what <paramref name="dx"/> holds.</param>
    /// <param name="dropout">The mask of the forward pass.</param>
    public void Backward(
        Tensor? x,
        RowSample? sample,
        Tensor? projected,
        Tensor?[] gradients,
        Tensor? dx,
        bool accumulate,
        DropoutMask? dropout
    )
    {
        Tensor[] whole = [.. _places.Select(place => gradients[place]!)];
        Tensor[] rows = sample is null ? whole : [.. whole.Select(sample.Of)];
        try
        {
            WeightGradients(x, rows);
            if (_factors is null)
                InputGradient(whole[0], dx, accumulate);
            else if (sample is null)
                WithGradients(wanted => Pass(x, projected!, whole, dx, wanted, Added(accumulate), dropout));
            else
                PassSampled(x, sample, projected!, whole, rows, dx, accumulate);
        }
        finally
        {
            foreach (Tensor few in rows.Except(whole))
                few.Dispose();
        }
    }

    private void WeightGradients(Tensor? x, Tensor[] gradients)
    {
        for (int i = 0; i < _cores.Length; i++)
        {
            if (_cores[i].Form.Weight?.GradientBuffer(out bool adds) is { } dWeight)
                Gemm.Run(Gemm.Transposed(gradients[i]), x!, dWeight, 1, adds ? 1 : 0);
            foreach (SparseChange change in _cores[i].Form.Entries)
            {
                change.Whole?.Add(gradients[i], x!);
                if (change.Values.GradientBuffer(out adds) is { } dValues)
                    SampledProduct.Run(gradients[i], x!, change.Index, dValues, 1, adds);
            }
        }
    }

    private void InputGradient(Tensor gradient, Tensor? dx, bool accumulate)
    {
        if (dx is null)
            return;
        using Tensor? sum = _cores[0].WithEntries();
        FrozenProduct.InputGradient(gradient, sum ?? _cores[0].Weight, dx, accumulate ? 1 : 0);
    }

    /// <summary>
    /// Computes the gradients of L, c and x from all rows, which needs no x, and that of R from the rows of the sample.
    /// </summary>
    private void PassSampled(
        Tensor? x,
        RowSample sample,
        Tensor projected,
        Tensor[] whole,
        Tensor[] rows,
        Tensor? dx,
        bool accumulate
    ) =>
        WithGradients(wanted =>
        {
            LowRankGradients[] exact = [.. wanted.Select(gradient => gradient with { Right = null })];
            Pass(null, projected, whole, dx, exact, Added(accumulate), null);
            if (Array.TrueForAll(wanted, gradient => gradient.Right is null))
                return;
            LowRankGradients[] right = [.. wanted.Select(gradient => gradient with { Left = null, Middle = null })];
            using Tensor few = sample.Of(projected);
            Pass(x, few, rows, null, right, Added(false), null);
        });

    private void Pass(
        Tensor? x,
        Tensor projected,
        Tensor[] gradients,
        Tensor? dx,
        LowRankGradients[] wanted,
        Accumulate accumulate,
        DropoutMask? dropout
    ) => _factors!.Backward(x, Layers(), projected, gradients, dx, wanted, accumulate, dropout);

    /// <summary>Does the same for operands in the layout of <see cref="AugmentedLinear.Backward"/>.</summary>
    public void Backward(
        AugmentedWeight weight,
        Tensor? x,
        Tensor? projected,
        Tensor dy,
        Tensor? dx,
        bool accumulate
    ) => WithGradients(wanted => AugmentedLinear.Backward(weight, x, projected, dy, dx, wanted, Added(accumulate)));

    // Parameter gradients always accumulate.
    private static Accumulate Added(bool dx) => dx ? Accumulate.Gradients | Accumulate.Dx : Accumulate.Gradients;

    private void WithGradients(Action<LowRankGradients[]> backward)
    {
        LowRankGradients[] wanted = [.. _cores.Select(core => core.Gradients())];
        try
        {
            backward(wanted);
            foreach ((AdapterCore core, LowRankGradients gradient) in _cores.Zip(wanted))
                core.Finish(gradient);
        }
        finally
        {
            foreach ((AdapterCore core, LowRankGradients gradient) in _cores.Zip(wanted))
                core.Release(gradient);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (AdapterCore core in _cores)
            core.Dispose();
        foreach (LowRankFactors member in _factors?.Members ?? [])
            member.Left.Dispose();
        _factors?.Dispose();
        _right?.Dispose();
        _middle?.Dispose();
    }

    private LowRankLayer[] Layers() =>
        [.. _cores.Select(core => new LowRankLayer(core.Weight, core.OutputScale is null ? core.Bias : null))];
}
