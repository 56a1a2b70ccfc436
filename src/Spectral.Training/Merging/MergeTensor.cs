using Spectral.Training.IO;

namespace Spectral.Training.Merging;

/// <summary>One tensor of a merge: its values in the base and in each input, read in pieces or whole.</summary>
internal sealed class MergeTensor
{
    /// <summary>The number of values in a piece; the last one of a tensor may have fewer.</summary>
    public const int PieceSize = 1 << 16;

    private readonly SafetensorsTensor? _base;
    private readonly SafetensorsTensor? _origin;
    private readonly InputTensor[] _inputs;

    /// <summary>Opens the tensor in each input. Those of adapters are computed here.</summary>
    /// <param name="run">The merge that the tensor belongs to.</param>
    /// <param name="place">Its place in the model.</param>
    /// <param name="stored">The base's tensor.</param>
    /// <param name="origin">The tensor that the inputs were tuned from; null: the base's.</param>
    /// <param name="sources">The inputs.</param>
    public MergeTensor(
        MergeRun run,
        TensorPlace place,
        SafetensorsTensor stored,
        SafetensorsTensor? origin,
        IReadOnlyList<MergeSource> sources
    )
    {
        (Run, Place, Shape, Weights) = (run, place, stored.Shape, run.Weights);
        (_base, _origin) = (stored, origin);
        _inputs =
        [
            .. sources.Select(source => source.Changes(place.Name) ? source.Open(place.Name) : InputTensor.Untouched),
        ];
    }

    /// <summary>Makes a tensor whose base is 0, such as a factor of adapters, of changes in memory.</summary>
    /// <param name="run">The merge that the tensor belongs to.</param>
    /// <param name="place">Its name, and the place of the weight that it belongs to.</param>
    /// <param name="shape">The dimensions.</param>
    /// <param name="changes">The values of each input.</param>
    /// <param name="weights">The factor of each input.</param>
    public MergeTensor(
        MergeRun run,
        TensorPlace place,
        IReadOnlyList<long> shape,
        IReadOnlyList<float[]> changes,
        IReadOnlyList<double> weights
    )
    {
        (Run, Place, Shape, Weights) = (run, place, shape, weights);
        _inputs = [.. changes.Select(InputTensor.OfChange)];
    }

    /// <summary>The merge that the tensor belongs to.</summary>
    public MergeRun Run { get; }

    /// <summary>The tensor's name and its place in the model.</summary>
    public TensorPlace Place { get; }

    /// <summary>The name in the base.</summary>
    public string Name => Place.Name;

    /// <summary>The dimensions, outermost first.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>The factor of each input.</summary>
    public IReadOnlyList<double> Weights { get; }

    /// <summary>The number of values.</summary>
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);

    /// <summary>The number of inputs.</summary>
    public int Inputs => _inputs.Length;

    /// <summary>The number of pieces.</summary>
    public long PieceCount => (Count + PieceSize - 1) / PieceSize;

    /// <summary>Whether the inputs were tuned from other values than the base's.</summary>
    public bool HasOrigin => _origin is not null;

    /// <summary>Reads the whole change of an input.</summary>
    public float[] Change(int input) => Whole((piece, part) => piece.Change(input).CopyTo(part));

    /// <summary>Reads all values of an input.</summary>
    public float[] Values(int input) => Whole((piece, part) => piece.Values(input).CopyTo(part));

    /// <summary>Computes all values of a tensor piece by piece.</summary>
    public float[] Whole(PieceMerge read)
    {
        if (Count > Array.MaxLength)
        {
            throw new InputException(
                $"tensor {InputText.Quote(Name)} has {Count} elements, expected at most {Array.MaxLength}"
            );
        }

        float[] values = new float[Count];
        EachPiece(piece => read(piece, values.AsSpan((int)piece.Start, piece.Length)));
        return values;
    }

    /// <summary>
    /// Computes all values of a tensor in order, a few pieces at a time. The memory of each is used again.
    /// </summary>
    public IEnumerable<ReadOnlyMemory<float>> InOrder(PieceMerge merge)
    {
        int together = (int)Math.Min(PieceCount, 2 * Environment.ProcessorCount);
        MergePiece[] pieces = [.. Enumerable.Range(0, together).Select(_ => new MergePiece(this))];
        float[][] results = [.. pieces.Select(_ => new float[PieceSize])];
        for (long first = 0; first < PieceCount; first += together)
        {
            int count = (int)Math.Min(together, PieceCount - first);
            InParallel.For(
                count,
                i =>
                {
                    MergePiece piece = pieces[i].MoveTo(first + i);
                    merge(piece, results[i].AsSpan(0, piece.Length));
                }
            );
            for (int i = 0; i < count; i++)
                yield return results[i].AsMemory(0, pieces[i].Length);
        }
    }

    /// <summary>Reads the pieces in order, all with the same memory.</summary>
    public IEnumerable<MergePiece> Pieces()
    {
        MergePiece piece = new(this);
        for (long number = 0; number < PieceCount; number++)
            yield return piece.MoveTo(number);
    }

    /// <summary>Runs an action on every piece, several at a time.</summary>
    public void EachPiece(Action<MergePiece> action) =>
        InParallel.Run(() =>
            Parallel.For(
                0L,
                PieceCount,
                () => new MergePiece(this),
                (number, _, piece) =>
                {
                    action(piece.MoveTo(number));
                    return piece;
                },
                _ => { }
            )
        );

    /// <summary>
    /// Adds up numbers that each piece contributes. The sum is taken in the order of the pieces, so that it has the
    /// same bits with any number of threads.
    /// </summary>
    /// <param name="count">How many sums.</param>
    /// <param name="measure">Writes the contributions of a piece.</param>
    public double[] Sum(int count, Action<MergePiece, Span<double>> measure)
    {
        double[] parts = new double[PieceCount * count];
        EachPiece(piece => measure(piece, parts.AsSpan((int)(piece.Start / PieceSize) * count, count)));
        double[] sums = new double[count];
        for (int i = 0; i < parts.Length; i++)
            sums[i % count] += parts[i];
        return sums;
    }

    /// <summary>Reads values of the base.</summary>
    public void ReadBase(long start, Span<float> values) => Read(_base, start, values);

    /// <summary>Reads values that the inputs were tuned from.</summary>
    public void ReadOrigin(long start, Span<float> values) => Read(_origin ?? _base, start, values);

    /// <summary>Reads the change of an input for a piece.</summary>
    public void ReadChange(int input, MergePiece piece, Span<float> change) =>
        _inputs[input].ReadChange(piece.Start, piece.Origin, change);

    /// <summary>Reads the change of an input from any value on.</summary>
    public void ReadChange(int input, long start, Span<float> change)
    {
        float[] origin = new float[change.Length];
        ReadOrigin(start, origin);
        _inputs[input].ReadChange(start, origin, change);
    }

    /// <summary>Reads the values of an input for a piece.</summary>
    public void ReadValues(int input, MergePiece piece, Span<float> values) =>
        _inputs[input].ReadValues(piece.Start, piece.Origin, values);

    private static void Read(SafetensorsTensor? stored, long start, Span<float> values)
    {
        if (stored is null)
            values.Clear();
        else
            stored.ReadFloats(start, values);
    }
}
