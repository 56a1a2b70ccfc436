using Spectral.Training.Numerics;

namespace Spectral.Training.Merging;

/// <summary>
/// Drops entries of changes at random. Whether an entry stays depends on the seed, the tensor, the input and its index
/// alone, so that pieces can be read in any order.
/// </summary>
internal sealed class RandomDrops(MergeTensor tensor)
{
    private readonly ulong[] _streams =
    [
        .. Enumerable
            .Range(0, tensor.Inputs)
            .Select(input => SplitMix64.Mix(tensor.Run.Options.Seed + RandomStream.For($"{tensor.Name}#{input}"))),
    ];

    /// <summary>
    /// Keeps each entry of an input's change in a piece with a probability and divides it by that, and returns the
    /// change.
    /// </summary>
    public Span<float> Drop(MergePiece piece, int input, double density)
    {
        Span<float> change = piece.Change(input);
        float factor = (float)(1 / density);
        for (int i = 0; i < change.Length; i++)
            change[i] = Uniform(piece, input, i) < density ? change[i] * factor : 0;
        return change;
    }

    /// <summary>Returns the random number, uniform in [0, 1), of an entry of a piece.</summary>
    public double Uniform(MergePiece piece, int input, int index) =>
        SplitMix64.Uniform(_streams[input], (ulong)(piece.Start + index));
}
