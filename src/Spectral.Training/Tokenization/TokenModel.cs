using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The <c>model</c> of a tokenizer file: a vocabulary, and how a piece of text becomes tokens of it. It is thread-safe
/// if each thread has its own merger.
/// </summary>
internal abstract class TokenModel
{
    /// <summary>The largest id, far above those of real vocabularies.</summary>
    public const int LargestId = (1 << 24) - 1;

    private readonly Dictionary<string, int> _vocabulary = new(StringComparer.Ordinal);

    /// <summary>Reads the vocabulary, an object that maps tokens to ids.</summary>
    protected TokenModel(JsonFields fields, string file)
    {
        JsonFields vocabulary =
            fields.Object("vocab") ?? throw fields.Wrong("vocab", "an object that maps tokens to ids");
        HashSet<int> ids = [];
        foreach (JsonProperty entry in vocabulary.Element.EnumerateObject())
        {
            if (
                entry.Value.ValueKind != JsonValueKind.Number
                || !entry.Value.TryGetInt32(out int id)
                || id < 0
                || id > LargestId
            )
            {
                throw Wrong(entry.Name, $"no id from 0 to {LargestId}");
            }

            if (!ids.Add(id))
                throw Wrong(entry.Name, $"the id {id}, which another token has");
            _vocabulary.Add(entry.Name, id);
        }

        InputException Wrong(string token, string what) =>
            new($"{file}: model.vocab gives {InputText.Quote(token)} {what}");
    }

    /// <summary>The id of each token.</summary>
    public Dictionary<string, int> Vocabulary => _vocabulary;

    /// <summary>Reads the model. Types other than BPE and WordPiece are refused by name.</summary>
    public static TokenModel Read(JsonFields root, string file)
    {
        JsonFields fields = root.Object("model") ?? throw root.Wrong("model", "an object of type BPE or WordPiece");
        return fields.Text("type") switch
        {
            "BPE" => new BpeModel(fields, file),
            "WordPiece" => new WordPieceModel(fields, file),
            // Old files omit the type. A model with merges can only be BPE.
            null when fields.Has("merges") => new BpeModel(fields, file),
            _ => throw fields.Wrong("type", "BPE or WordPiece (no other kind of tokenizer is supported)"),
        };
    }

    /// <summary>Creates the working space that each thread needs for <see cref="Encode"/>; null: none.</summary>
    public virtual BpeMerger? NewMerger() => null;

    /// <summary>
    /// Appends the ids of one piece, which tokens do not cross. If <paramref name="inBytes"/>, the piece stands for its
    /// UTF-8 bytes in the byte alphabet. A tokenizer does this for all of its pieces or for none.
    /// </summary>
    /// <param name="piece">The text of the piece.</param>
    /// <param name="inBytes">Whether it stands for its bytes.</param>
    /// <param name="merger">What <see cref="NewMerger"/> created for the thread.</param>
    /// <param name="ids">Receives the ids.</param>
    public abstract void Encode(ReadOnlySpan<char> piece, bool inBytes, BpeMerger? merger, List<int> ids);
}
