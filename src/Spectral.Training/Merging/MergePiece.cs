using System.Numerics.Tensors;

namespace Spectral.Training.Merging;

/// <summary>
/// Consecutive values of one tensor, of the base and of each input. What is asked for is read once; the memory is used
/// again for the next piece.
/// </summary>
internal sealed class MergePiece(MergeTensor tensor)
{
    private readonly float[] _base = new float[MergeTensor.PieceSize];
    private readonly float[]?[] _changes = new float[tensor.Inputs][];
    private readonly float[]?[] _values = new float[tensor.Inputs][];
    private readonly bool[] _hasChange = new bool[tensor.Inputs];
    private readonly bool[] _hasValues = new bool[tensor.Inputs];
    private float[]? _origin;
    private bool _hasBase;
    private bool _hasOrigin;

    /// <summary>The index of the first value in the tensor.</summary>
    public long Start { get; private set; }

    /// <summary>The number of values.</summary>
    public int Length { get; private set; }

    /// <summary>The factor of each input.</summary>
    public IReadOnlyList<double> Weights => tensor.Weights;

    /// <summary>The values θ0 of the base.</summary>
    public ReadOnlySpan<float> Base
    {
        get
        {
            Span<float> values = _base.AsSpan(0, Length);
            if (!_hasBase)
                tensor.ReadBase(Start, values);
            _hasBase = true;
            return values;
        }
    }

    /// <summary>
    /// The values that the inputs' changes are relative to; those of the base unless a method has another.
    /// </summary>
    public ReadOnlySpan<float> Origin
    {
        get
        {
            if (!tensor.HasOrigin)
                return Base;
            Span<float> values = (_origin ??= new float[MergeTensor.PieceSize]).AsSpan(0, Length);
            if (!_hasOrigin)
                tensor.ReadOrigin(Start, values);
            _hasOrigin = true;
            return values;
        }
    }

    /// <summary>Moves on to another piece, with the given number.</summary>
    public MergePiece MoveTo(long number)
    {
        Start = number * MergeTensor.PieceSize;
        Length = (int)Math.Min(MergeTensor.PieceSize, tensor.Count - Start);
        (_hasBase, _hasOrigin) = (false, false);
        Array.Clear(_hasChange);
        Array.Clear(_hasValues);
        return this;
    }

    /// <summary>
    /// Returns the change τ_i = θ_i − θ0 of an input. A method may overwrite it: it is read anew for the next piece.
    /// </summary>
    public Span<float> Change(int input)
    {
        Span<float> change = (_changes[input] ??= new float[MergeTensor.PieceSize]).AsSpan(0, Length);
        if (!_hasChange[input])
            tensor.ReadChange(input, this, change);
        _hasChange[input] = true;
        return change;
    }

    /// <summary>
    /// Returns the memory of <see cref="Change"/>, of which the first <see cref="Length"/> values count.
    /// </summary>
    public float[] Changes(int input)
    {
        Change(input);
        return _changes[input]!;
    }

    /// <summary>Returns <see cref="Changes(int)"/> of all inputs.</summary>
    public float[][] Changes()
    {
        for (int input = 0; input < _changes.Length; input++)
            Change(input);
        return _changes!;
    }

    /// <summary>Returns the values θ_i of an input.</summary>
    public ReadOnlySpan<float> Values(int input)
    {
        Span<float> values = (_values[input] ??= new float[MergeTensor.PieceSize]).AsSpan(0, Length);
        if (!_hasValues[input])
            tensor.ReadValues(input, this, values);
        _hasValues[input] = true;
        return values;
    }

    /// <summary>Adds the base's values to a change.</summary>
    public void AddBase(Span<float> result) => TensorPrimitives.Add(result, Base, result);
}
