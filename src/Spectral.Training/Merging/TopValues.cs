namespace Spectral.Training.Merging;

/// <summary>Which entries of a tensor have the largest scores; of equal ones, the first.</summary>
internal sealed class TopValues
{
    private readonly float _threshold;
    private readonly long[]? _quotas;

    /// <summary>Keeps the entries above a threshold and those that equal it.</summary>
    public TopValues(float threshold) => _threshold = threshold;

    /// <summary>Finds the entries with the largest scores.</summary>
    /// <param name="tensor">The tensor to select from.</param>
    /// <param name="kept">How many to keep.</param>
    /// <param name="score">Returns the scores of the entries of a piece, of which the magnitudes count.</param>
    public TopValues(MergeTensor tensor, long kept, Func<MergePiece, float[]> score)
    {
        if (kept >= tensor.Count)
            return;
        if (kept == 0)
        {
            _threshold = float.PositiveInfinity;
            return;
        }

        OrderStatistics statistics = new(ofMagnitudes: true, kept);
        foreach (MergePiece piece in tensor.Pieces())
            statistics.CountFirst(score(piece).AsSpan(0, piece.Length));
        statistics.EndFirst();
        foreach (MergePiece piece in tensor.Pieces())
            statistics.CountSecond(score(piece).AsSpan(0, piece.Length));
        OrderStatistics.Ranked found = statistics.Result();
        _threshold = found.Value;
        if (found.Within == found.Equal)
            return;
        _quotas = new long[tensor.PieceCount];
        long left = found.Within;
        foreach (MergePiece piece in tensor.Pieces())
        {
            _quotas[piece.Start / MergeTensor.PieceSize] = left;
            foreach (float value in score(piece).AsSpan(0, piece.Length))
            {
                if (left > 0 && MathF.Abs(value) == _threshold)
                    left--;
            }
        }
    }

    /// <summary>
    /// Sets the entries of a piece that are not kept to 0, or with <paramref name="keeps"/> false the others.
    /// </summary>
    /// <param name="piece">The piece that the entries belong to.</param>
    /// <param name="scores">Their scores.</param>
    /// <param name="entries">The entries; may be the scores themselves.</param>
    /// <param name="keeps">Whether the largest are kept.</param>
    public void Select(MergePiece piece, ReadOnlySpan<float> scores, Span<float> entries, bool keeps = true)
    {
        long quota = _quotas?[piece.Start / MergeTensor.PieceSize] ?? long.MaxValue;
        for (int i = 0; i < entries.Length; i++)
        {
            float score = MathF.Abs(scores[i]);
            bool isTop = score > _threshold || (score == _threshold && --quota >= 0);
            if (isTop != keeps)
                entries[i] = 0;
        }
    }
}
