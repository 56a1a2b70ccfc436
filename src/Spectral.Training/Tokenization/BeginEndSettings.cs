using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The settings <c>add_bos_token</c> and <c>add_eos_token</c> of a <c>tokenizer_config.json</c>. transformers 4
/// rebuilds the post-processor from them for a few tokenizer classes. For all others, and in transformers 5 for all
/// classes, the post-processor of tokenizer.json counts. The rule here: a given key counts for those few classes. For
/// others it is ignored, with a warning if it says something else.
/// </summary>
internal sealed class BeginEndSettings
{
    // The classes of transformers 4.57 whose constructors call update_post_processor, without "Fast".
    private static readonly string[] ClassesWithSettings =
    [
        "LlamaTokenizer",
        "CodeLlamaTokenizer",
        "GemmaTokenizer",
        "CohereTokenizer",
        "GPTNeoXTokenizer",
    ];

    private readonly string _file;
    private readonly string _tokenizerClass;
    private readonly bool? _addsBegin;
    private readonly bool? _addsEnd;

    public BeginEndSettings(JsonFields? settings, string file, string? tokenizerClass)
    {
        _file = file;
        _tokenizerClass = tokenizerClass ?? "no tokenizer_class";
        _addsBegin = settings?.Boolean("add_bos_token");
        _addsEnd = settings?.Boolean("add_eos_token");
    }

    private bool AppliesSettings =>
        ClassesWithSettings.Any(name => _tokenizerClass == name || _tokenizerClass == name + "Fast");

    /// <summary>Returns the post-processor of tokenizer.json, changed as the settings require.</summary>
    /// <param name="own">The post-processor of tokenizer.json.</param>
    /// <param name="begin">The id of the begin token; null if there is none.</param>
    /// <param name="end">The id of the end token; null if there is none.</param>
    /// <param name="warnings">Receives a line where the two differ.</param>
    public PostProcessor Apply(PostProcessor own, int? begin, int? end, List<string> warnings) =>
        own with
        {
            Prefix = Side("add_bos_token", _addsBegin, begin, own.Prefix, "in front of", warnings),
            Suffix = Side("add_eos_token", _addsEnd, end, own.Suffix, "behind", warnings),
        };

    private IReadOnlyList<int> Side(
        string key,
        bool? adds,
        int? token,
        IReadOnlyList<int> own,
        string where,
        List<string> warnings
    )
    {
        if (adds is not { } wanted || (token is { } id ? own.Contains(id) : own.Count > 0) == wanted)
            return own;
        string found =
            $"{_file}: {key} is {(wanted ? "true" : "false")}, the post_processor of tokenizer.json puts "
            + $"{(own.Count == 0 ? "nothing" : string.Join(", ", own))} {where} a text";
        if (wanted && token is null)
        {
            warnings.Add($"{found}, and no file names the token; it is left so");
            return own;
        }
        warnings.Add(
            AppliesSettings
                ? $"{found}; {key} counts with {_tokenizerClass}, as in transformers 4"
                : $"{found}, which counts with {_tokenizerClass}, as in transformers"
        );
        if (!AppliesSettings)
            return own;
        return wanted ? [token!.Value] : [];
    }
}
