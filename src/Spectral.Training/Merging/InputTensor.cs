using System.Numerics.Tensors;
using Spectral.Training.IO;

namespace Spectral.Training.Merging;

/// <summary>One tensor of one input of a merge.</summary>
internal abstract class InputTensor
{
    /// <summary>A tensor that the input leaves as in the base.</summary>
    public static InputTensor Untouched { get; } = new Same();

    /// <summary>Returns a tensor that is given as its change of the base's.</summary>
    public static InputTensor OfChange(float[] change) => new Computed(change);

    /// <summary>Returns a tensor that is given as tuned, in a file.</summary>
    public static InputTensor OfValues(SafetensorsTensor stored) => new Stored(stored);

    /// <summary>Reads the change of consecutive values.</summary>
    /// <param name="start">The index of the first value.</param>
    /// <param name="origin">The base's values.</param>
    /// <param name="change">The result, as long as <paramref name="origin"/>.</param>
    public abstract void ReadChange(long start, ReadOnlySpan<float> origin, Span<float> change);

    /// <summary>Reads consecutive values as tuned.</summary>
    /// <param name="start">The index of the first value.</param>
    /// <param name="origin">The base's values.</param>
    /// <param name="values">The result, as long as <paramref name="origin"/>.</param>
    public abstract void ReadValues(long start, ReadOnlySpan<float> origin, Span<float> values);

    private sealed class Same : InputTensor
    {
        public override void ReadChange(long start, ReadOnlySpan<float> origin, Span<float> change) => change.Clear();

        public override void ReadValues(long start, ReadOnlySpan<float> origin, Span<float> values) =>
            origin.CopyTo(values);
    }

    private sealed class Computed(float[] whole) : InputTensor
    {
        public override void ReadChange(long start, ReadOnlySpan<float> origin, Span<float> change) =>
            Part(start, change.Length).CopyTo(change);

        public override void ReadValues(long start, ReadOnlySpan<float> origin, Span<float> values) =>
            TensorPrimitives.Add(origin, Part(start, values.Length), values);

        private ReadOnlySpan<float> Part(long start, int length) => whole.AsSpan((int)start, length);
    }

    private sealed class Stored(SafetensorsTensor stored) : InputTensor
    {
        public override void ReadChange(long start, ReadOnlySpan<float> origin, Span<float> change)
        {
            stored.ReadFloats(start, change);
            TensorPrimitives.Subtract(change, origin, change);
        }

        public override void ReadValues(long start, ReadOnlySpan<float> origin, Span<float> values) =>
            stored.ReadFloats(start, values);
    }
}
