using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Options;

/// <summary>--train-tokens: the tokens whose rows of the embedding train.</summary>
internal sealed class TrainTokensOption
{
    private const string Name = "--train-tokens";

    public Option<string> Option { get; } =
        OptionTypes.List(
            Name,
            "Tokens, by id or text, whose embedding rows are trained and stored with the adapter (PEFT's "
                + "trainable_token_indices); a tied output head shares these rows.",
            "TOKENS",
            "tokens, such as 128000,<tool>"
        );

    /// <summary>Returns the ids of the tokens, by the module that they are rows of.</summary>
    /// <exception cref="InputException">A text is not one token.</exception>
    public KeyValuePair<string, IReadOnlyList<int>>[] Read(CommandContext context, BpeTokenizer tokenizer) =>
        context.Get(Option) is { Length: > 0 } list ? [KeyValuePair.Create("embed_tokens", Ids(list, tokenizer))] : [];

    private static IReadOnlyList<int> Ids(string list, BpeTokenizer tokenizer) =>
        [.. OptionTypes.Entries(list).Select(text => Id(text, tokenizer))];

    private static int Id(string text, BpeTokenizer tokenizer)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            return id;
        int[] ids = tokenizer.Encode(text, addSpecialTokens: false);
        return ids is [var only]
            ? only
            : throw new InputException(
                $"{Name} \"{text}\": {ids.Length} tokens in this model's tokenizer, "
                    + "expected a text that is one token, or an id"
            );
    }
}
