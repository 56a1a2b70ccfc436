using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Collects the added tokens of a tokenizer's files, each content once, with the ids that the Rust core gives them: a
/// token of the vocabulary keeps its id, and any other gets the next free one. Ids in files are ignored, as in the core
/// and thus in transformers. A warning reports where they differ.
/// </summary>
/// <param name="vocabulary">The ids of the model's tokens.</param>
/// <param name="warnings">Receives a line for each file with other ids.</param>
internal sealed class AddedTokenList(IReadOnlyDictionary<string, int> vocabulary, List<string> warnings)
{
    private readonly List<AddedToken> _tokens = [];
    private readonly Dictionary<string, int> _places = [];
    private readonly HashSet<string> _mentioned = [];

    /// <summary>The tokens collected so far, with their final ids.</summary>
    public IReadOnlyList<AddedToken> Tokens => _tokens;

    /// <summary>Returns whether there is a token with this content.</summary>
    public bool Has(string content) => _places.ContainsKey(content);

    /// <summary>Adds the tokens of one list. Those without content are ignored, as in the core.</summary>
    /// <param name="more">The tokens in the order in which they are numbered.</param>
    /// <param name="file">The file from which the ids come; null if they have none.</param>
    /// <param name="replaces">
    /// Whether the flags given here replace those of an existing token. A special token stays special.
    /// </param>
    public void Add(IEnumerable<AddedToken> more, string? file, bool replaces)
    {
        // The core determines the highest id once for a whole list.
        int next = Math.Max(vocabulary.Count, _tokens.Select(token => token.Id).DefaultIfEmpty(-1).Max() + 1);
        List<(AddedToken Token, int Id)> others = [];
        foreach (AddedToken token in more.Where(token => token.Content.Length > 0))
        {
            int id = Add(token, ref next, replaces);
            if (id != token.Id && file is not null && _mentioned.Add(token.Content))
                others.Add((token, id));
        }
        if (others is not [(AddedToken first, int counts), .. var rest])
            return;
        string also = rest.Count > 0 ? $"; so it is with {rest.Count} more" : "";
        warnings.Add(
            $"{file}: added token {InputText.Quote(first.Content)} has the id {first.Id}, but {counts} "
                + $"counts, as in transformers, which numbers added tokens itself{also}"
        );
    }

    private int Add(AddedToken token, ref int next, bool replaces)
    {
        if (_places.TryGetValue(token.Content, out int at))
        {
            AddedToken former = _tokens[at];
            if (replaces)
                _tokens[at] = token with { Id = former.Id, Special = token.Special || former.Special };
            return former.Id;
        }
        if (!vocabulary.TryGetValue(token.Content, out int id))
            id = next++;
        _places.Add(token.Content, _tokens.Count);
        _tokens.Add(token with { Id = id });
        return id;
    }
}
