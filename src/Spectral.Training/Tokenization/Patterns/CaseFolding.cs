namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Applies (?i) to texts and classes as Oniguruma does: each character stands for all with the same folding, and some
/// stand for two or three characters, as ß for ss.
/// </summary>
internal static class CaseFolding
{
    private static readonly Lazy<Tables> Data = new(() => new Tables());

    /// <summary>
    /// Expands a text with case ignored. In a look-behind, a character stands only for single characters.
    /// </summary>
    public static PatternNode Expand(int[] text, bool singleOnly)
    {
        List<PatternNode> parts = [];
        for (int at = 0; at < text.Length; )
        {
            (PatternNode part, int length) = singleOnly ? (Single(text[at]), 1) : At(text, at);
            parts.Add(part);
            at += length;
        }
        return new PatternNode.Sequence(parts);
    }

    /// <summary>Expands a class with case ignored. A negative class stands only for single characters.</summary>
    public static PatternNode Expand(CodeSet set, bool negative)
    {
        CodeSet closed = set.Union(
            CodeSet.Of([
                .. Data.Value.Orbits.Where(alike => Array.Exists(alike, set.Contains)).SelectMany(alike => alike),
            ])
        );
        if (negative)
            return new PatternNode.Class(closed.Complement());
        List<PatternNode> alternatives = [new PatternNode.Class(closed)];
        foreach ((int[] fold, List<int> from) in Data.Value.Multiple)
        {
            if (from.Exists(closed.Contains))
                alternatives.Add(Spelled(fold));
        }
        return alternatives.Count == 1 ? alternatives[0] : new PatternNode.Alternatives(alternatives);
    }

    // Returns what the text at a place stands for, and the number of its characters that this covers.
    private static (PatternNode Part, int Length) At(int[] text, int at)
    {
        for (int length = Math.Min(3, text.Length - at); length > 1; length--)
        {
            int[] folded = [.. text.AsSpan(at, length).ToArray().Select(Data.Value.Folded)];
            if (Data.Value.FindMultiple(folded) is { } from)
                return (Either(from, folded), length);
        }
        return (Data.Value.MultipleOf(text[at]) is { } fold ? Either(fold.From, fold.Fold) : Single(text[at]), 1);
    }

    private static PatternNode.Alternatives Either(List<int> characters, int[] fold) =>
        new([new PatternNode.Class(CodeSet.Of([.. characters])), Spelled(fold)]);

    private static PatternNode.Sequence Spelled(int[] fold) => new([.. fold.Select(Single)]);

    private static PatternNode Single(int code) => new PatternNode.Class(CodeSet.Of(Data.Value.Alike(code)));

    private sealed class Tables
    {
        private readonly Dictionary<int, int[]> _folds = UnicodeData.Mapping("Fold");
        private readonly Dictionary<int, int[]> _orbits = [];
        private readonly Dictionary<string, (int[] Fold, List<int> From)> _multiple = [];

        public Tables()
        {
            foreach (
                IGrouping<int, KeyValuePair<int, int[]>> alike in _folds
                    .Where(fold => fold.Value.Length == 1)
                    .GroupBy(fold => fold.Value[0])
            )
            {
                int[] orbit = [alike.Key, .. alike.Select(fold => fold.Key)];
                foreach (int code in orbit)
                    _orbits[code] = orbit;
            }
            foreach ((int code, int[] fold) in _folds.Where(fold => fold.Value.Length > 1))
            {
                if (!_multiple.TryAdd(KeyOf(fold), (fold, [code])))
                    _multiple[KeyOf(fold)].From.Add(code);
            }
            foreach ((_, List<int> from) in _multiple.Values)
            {
                int[] orbit = [.. from];
                foreach (int code in from.Where(_ => from.Count > 1))
                    _orbits[code] = orbit;
            }
            Orbits = [.. _orbits.Values.Distinct()];
        }

        public int[][] Orbits { get; }

        // Foldings to two characters come first.
        public IEnumerable<(int[] Fold, List<int> From)> Multiple =>
            _multiple.Values.OrderBy(entry => entry.Fold.Length);

        public int Folded(int code) => _folds.TryGetValue(code, out int[]? fold) && fold.Length == 1 ? fold[0] : code;

        public int[] Alike(int code) => _orbits.TryGetValue(code, out int[]? orbit) ? orbit : [code];

        public List<int>? FindMultiple(int[] folded) =>
            _multiple.TryGetValue(KeyOf(folded), out (int[] Fold, List<int> From) entry) ? entry.From : null;

        public (int[] Fold, List<int> From)? MultipleOf(int code) =>
            _folds.TryGetValue(code, out int[]? fold) && fold.Length > 1 ? _multiple[KeyOf(fold)] : null;

        private static string KeyOf(int[] fold) => string.Join('.', fold);
    }
}
