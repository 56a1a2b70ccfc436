using Spectral.Kernels.Driver;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// The weights of layers that read the same x, stacked in one buffer with the factors of their low-rank updates, so
/// that one library product computes the adapted layers and another their gradient to x (<see
/// cref="AugmentedLinear"/>):
/// <code>
///            K       Σp           up to a multiple of 64
/// W₁ [N₁]    W₁      L₁  0    0   not read
/// W₂ [N₂]    W₂      0   L₂   0   not read
/// R  [Σp]    R       not read
/// </code>
/// Rows begin at multiples of 64 elements. Where K + Σp or ΣN + Σp is no multiple of 8 the library has to read
/// narrower, as for any such matrix.
/// </summary>
public sealed class AugmentedWeight : IDisposable
{
    private const int Granule = 64;

    private readonly LowRankStack _stack;
    private readonly int[] _outputFrom;
    private readonly int[] _rankFrom;
    private readonly Tensor[] _rows;
    private readonly Tensor _right;

    /// <summary>
    /// Packs copies of the weights, biases and factors into the buffer. The given weights and biases are not needed
    /// afterwards.
    /// </summary>
    /// <param name="layers">W [out, in] and bias of each, F32 or BF16. They may be disposed afterwards, since <see
    /// cref="WeightOf"/> returns W.</param>
    /// <param name="stack">Their updates, same type; borrowed.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit, or a layer has no inputs or no
    /// outputs.</exception>
    /// <exception cref="CudaException">Device memory ran out.</exception>
    public AugmentedWeight(ReadOnlySpan<LowRankLayer> layers, LowRankStack stack)
    {
        ArgumentNullException.ThrowIfNull(stack);
        if (layers.Length != stack.Members.Count)
        {
            throw new ArgumentException(
                $"{layers.Length} layers, expected {stack.Members.Count} as the stack has",
                nameof(layers)
            );
        }

        (_stack, _outputFrom, _rankFrom) = (stack, new int[layers.Length + 1], new int[layers.Length + 1]);
        Check.Floating(layers[0].Weight.Dense, nameof(layers));
        (Tensor first, Inputs, bool biased) = (layers[0].Weight.Dense.Matrix, layers[0].Weight.Columns, false);
        for (int j = 0; j < layers.Length; j++)
        {
            ColumnRange weight = layers[j].Weight.Dense;
            Check.Operand(weight, first, [-1, Inputs], nameof(layers), nameof(layers));
            if (weight.Rows == 0 || Inputs == 0)
            {
                throw new ArgumentException(
                    $"a weight is {weight.Matrix.Shape}, expected at least one input and one output",
                    nameof(layers)
                );
            }

            if (layers[j].Bias is { } bias)
                Check.Operand(bias, first, [weight.Rows], nameof(layers), nameof(layers));
            biased |= layers[j].Bias is not null;
            stack.Members[j].Verify(weight.Rows, Inputs, first);
            Check.Operand(stack.Members[j].Left, first, name: nameof(stack), likeName: nameof(layers));
            (_outputFrom[j + 1], _rankFrom[j + 1]) = (
                checked(_outputFrom[j] + weight.Rows),
                _rankFrom[j] + stack.Members[j].Rank
            );
        }
        (InputStride, OutputStride) = (Padded(Inputs + Rank), Padded(Outputs + Rank));
        Buffer = Tensor.Zeros(first.Device, (Outputs + Rank, InputStride), first.DType);
        _right = Buffer.Rows(Outputs, Rank);
        _rows =
        [
            .. Enumerable
                .Range(0, layers.Length)
                .Select(j => Buffer.Rows(_outputFrom[j], _outputFrom[j + 1] - _outputFrom[j])),
        ];
        Bias = biased ? Tensor.Zeros(first.Device, Outputs, first.DType) : null;
        for (int j = 0; j < layers.Length; j++)
        {
            CopyBlock.Run(layers[j].Weight.Dense, Buffer, _outputFrom[j], 0);
            if (layers[j].Bias is not { } bias)
                continue;
            using Tensor part = Bias!.Rows(_outputFrom[j], bias.Dim(0));
            part.CopyFrom(bias);
        }
        Refresh();
    }

    /// <summary>Device that holds the buffer.</summary>
    public Device Device => Buffer.Device;

    /// <summary>Element type of weights, factors and activations.</summary>
    public DType DType => Buffer.DType;

    /// <summary>Number of inputs of each layer, K.</summary>
    public int Inputs { get; }

    /// <summary>Number of outputs of all layers together, ΣN.</summary>
    public int Outputs => _outputFrom[^1];

    /// <summary>Sum of the ranks of all updates, Σp.</summary>
    public int Rank => _rankFrom[^1];

    /// <summary>
    /// Length of a row of a laid-out input, in elements: K, Σp for the projection, and padding to a multiple of 64.
    /// </summary>
    public int InputStride { get; }

    /// <summary>
    /// Length of a row of a laid-out gradient of the outputs, in elements: ΣN, Σp for its projection, and padding to a
    /// multiple of 64.
    /// </summary>
    public int OutputStride { get; }

    /// <summary>Device memory of the buffer and the biases, in bytes.</summary>
    public long Bytes => Buffer.Bytes + (Bias?.Bytes ?? 0);

    /// <summary>Weights and factors of all layers, [ΣN + Σp, <see cref="InputStride"/>].</summary>
    internal Tensor Buffer { get; }

    /// <summary>Biases of all layers, [ΣN], or null if no layer has one.</summary>
    internal Tensor? Bias { get; }

    internal LowRankStack Stack => _stack;

    /// <summary>Returns the weight W [out, K] of layer j, which lies in the buffer.</summary>
    public ColumnRange WeightOf(int j) => new(_rows[j], 0, Inputs);

    /// <summary>R [Σp, K] of all updates, which lies in the buffer.</summary>
    internal ColumnRange Right => new(_right, 0, Inputs);

    /// <summary>Returns the columns of layer j among the outputs.</summary>
    public (int From, int Count) OutputsOf(int j) => (_outputFrom[j], _outputFrom[j + 1] - _outputFrom[j]);

    /// <summary>Returns the columns of layer j among the ranks.</summary>
    internal (int From, int Count) RanksOf(int j) => (_rankFrom[j], _rankFrom[j + 1] - _rankFrom[j]);

    /// <summary>
    /// Copies L and R into the buffer again, which is needed after every change to them, such as an optimizer's step. c
    /// and the scale are not copied but read in place.
    /// </summary>
    public void Refresh()
    {
        for (int j = 0; j < _stack.Members.Count; j++)
        {
            CopyBlock.Run(_stack.Members[j].Left, Buffer, _outputFrom[j], Inputs + _rankFrom[j]);
            CopyBlock.Run(_stack.Members[j].Right, Buffer, Outputs + _rankFrom[j], 0);
        }
    }

    /// <summary>Frees the buffer; the stack stays the caller's.</summary>
    public void Dispose()
    {
        _right.Dispose();
        foreach (Tensor rows in _rows)
            rows.Dispose();
        Buffer.Dispose();
        Bias?.Dispose();
    }

    private static int Padded(int length) => checked(Launch.Blocks(length, Granule) * Granule);
}
