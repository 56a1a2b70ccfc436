using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Generation;

/// <summary>
/// The tokens that end a text, from all files of a model folder that name some. The first one ends records; any of them
/// ends generation. The first one is, in order of precedence, the first <c>eos_token_id</c> of config.json, the first
/// one of generation_config.json, the <c>eos_token</c> of the tokenizer's files, or the default of the model's family
/// in transformers.
/// </summary>
public sealed record EndTokens
{
    /// <summary>The ids of the end tokens; empty if no file names one.</summary>
    public required IReadOnlyList<int> Ids { get; init; }

    /// <summary>The warnings about files that differ, one line each, with the files and the tokens.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }

    /// <summary>Determines the end tokens of a model and its tokenizer.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="tokenizer">The tokenizer in it.</param>
    public static EndTokens Of(ModelFolder folder, BpeTokenizer tokenizer)
    {
        ModelConfig config = folder.Config;
        List<string> warnings = [];
        IReadOnlyList<int> ids = config.EosTokenIds;
        string source = config.EosSource;
        (int Id, string File)? named =
            tokenizer.EndToken is { } token && token.Id < config.VocabularySize ? token : null;
        if (ids.Count == 0 && named is { } only)
        {
            (ids, source) = ([only.Id], only.File);
        }
        else if (ids.Count == 0 && config.FamilyEosTokenId is { } usual)
        {
            ids = [usual];
            warnings.Add(
                $"{folder.Directory}: no file names an end token; records end with {Name(usual)}, the default of "
                    + $"{config.ModelType} models"
            );
        }
        if (ids.Count == 0)
            return new EndTokens { Ids = ids, Warnings = warnings };
        string ends = $"{folder.Directory}: records end with {Name(ids[0])} of {source}";
        if (named is { } other && other.Id != ids[0])
            warnings.Add($"{ends}; the eos_token of {other.File} is {Name(other.Id)}");
        if (tokenizer.SuffixIds is [.., var last] && last != ids[0])
        {
            warnings.Add(
                $"{ends}; the post_processor of tokenizer.json puts {Name(last)} behind a text, which is left out of "
                    + "records and prompts"
            );
        }

        return new EndTokens { Ids = ids, Warnings = warnings };

        string Name(int id) => $"{InputText.Quote(tokenizer.TokenOf(id) ?? "")} ({id})";
    }
}
