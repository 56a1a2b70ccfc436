namespace Spectral.Training.Merging;

/// <summary>
/// The entries of largest magnitude of each input's change: of one tensor, exactly as many as asked for, the first of
/// equal ones; or over the whole model, where all that equal the smallest are kept.
/// </summary>
internal sealed class TopEntries
{
    private readonly TopValues[] _inputs;

    private TopEntries(TopValues[] inputs) => _inputs = inputs;

    /// <summary>Finds the ⌊density · count⌋ largest entries of one tensor.</summary>
    public static TopEntries Of(MergeTensor tensor, double density) => OfCount(tensor, (long)(density * tensor.Count));

    /// <summary>Finds the given number of largest entries of one tensor.</summary>
    public static TopEntries OfCount(MergeTensor tensor, long kept)
    {
        var found = new TopValues[tensor.Inputs];
        InParallel.For(
            found.Length,
            input => found[input] = new TopValues(tensor, kept, piece => piece.Changes(input))
        );
        return new TopEntries(found);
    }

    /// <summary>Finds the ⌊density · count⌋ largest entries of the whole model, in two passes.</summary>
    public static TopEntries OfModel(MergeRun run, double density)
    {
        long kept = (long)(density * run.Count);
        if (kept == 0)
            return new TopEntries([.. run.Weights.Select(_ => new TopValues(float.PositiveInfinity))]);
        OrderStatistics[] statistics = [.. run.Weights.Select(_ => new OrderStatistics(ofMagnitudes: true, kept))];
        run.ScanChanges((piece, input) => statistics[input].CountFirst(piece.Change(input)));
        foreach (OrderStatistics one in statistics)
            one.EndFirst();
        run.ScanChanges((piece, input) => statistics[input].CountSecond(piece.Change(input)));
        return new TopEntries([.. statistics.Select(one => new TopValues(one.Result().Value))]);
    }

    /// <summary>Sets all other entries of an input's change in a piece to 0, and returns it.</summary>
    public Span<float> Trim(MergePiece piece, int input) => Select(piece, input, keeps: true);

    /// <summary>Sets these entries of an input's change in a piece to 0, and returns it.</summary>
    public Span<float> Drop(MergePiece piece, int input) => Select(piece, input, keeps: false);

    private Span<float> Select(MergePiece piece, int input, bool keeps)
    {
        Span<float> change = piece.Change(input);
        _inputs[input].Select(piece, change, change, keeps);
        return change;
    }
}
