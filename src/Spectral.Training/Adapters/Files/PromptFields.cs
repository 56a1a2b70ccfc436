using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// The sizes of the model in the config of a soft prompt. For a prefix PEFT states those of the keys: their width as
/// <c>token_dim</c> and their heads as <c>num_attention_heads</c>.
/// </summary>
internal static class PromptFields
{
    /// <summary>The key of the tokenizer of a prompt that started from a text.</summary>
    public const string Tokenizer = "tokenizer_name_or_path";

    private const string Width = "token_dim";
    private const string Layers = "num_layers";
    private const string Heads = "num_attention_heads";
    private const string Submodules = "num_transformer_submodules";
    private const int Most = 1 << 24;

    /// <summary>The keys of the config.</summary>
    public static string[] Keys { get; } = [Width, Layers, Heads, Submodules];

    /// <summary>Adds what writes the sizes.</summary>
    /// <param name="writers">The writer of each key.</param>
    /// <param name="json">The config.</param>
    /// <param name="method">The soft prompt's method.</param>
    /// <param name="sizes">The sizes of the model.</param>
    public static void Write(
        IDictionary<string, Action> writers,
        Utf8JsonWriter json,
        PromptMethod method,
        PromptSizes sizes
    )
    {
        Number(Width, method.IsPrefix ? sizes.KeyWidth : sizes.Hidden);
        Number(Layers, sizes.Layers);
        Number(Heads, method.IsPrefix ? sizes.KeyValueHeads : sizes.Heads);
        Number(Submodules, 1);

        void Number(string key, int value) => writers[key] = () => json.WriteNumber(key, value);
    }

    /// <summary>Reads the sizes as far as the config states them: a prefix has no width of embeddings.</summary>
    /// <exception cref="InputException">A size is missing or impossible.</exception>
    public static PromptSizes Read(JsonFields fields, PromptMethod method)
    {
        if (fields.Integer(Submodules, 1, Most) is > 1)
            throw fields.Wrong(Submodules, "1: a decoder, not an encoder with one");
        int width = fields.RequiredInteger(Width, 1, Most);
        int layers = fields.RequiredInteger(Layers, 1, Most / 2);
        int heads = fields.RequiredInteger(Heads, 1, Most);
        if (!method.IsPrefix)
            return new PromptSizes(width, layers, heads, heads, Math.Max(1, width / heads));
        if (width % heads != 0 || 2L * layers * width > int.MaxValue)
            throw fields.Wrong(Width, $"a multiple of {Heads}, of which the keys and values of all layers fit a row");
        return new PromptSizes(width, layers, heads, heads, width / heads);
    }

    /// <summary>Checks that stored sizes are those of a model.</summary>
    /// <param name="path">The config's path, for the message.</param>
    /// <param name="method">The soft prompt's method.</param>
    /// <param name="stored">The sizes that the config states.</param>
    /// <param name="model">The sizes of the model.</param>
    /// <exception cref="InputException">A size differs; the message names its key.</exception>
    public static void Check(string path, PromptMethod method, PromptSizes stored, PromptSizes model)
    {
        if (!method.IsPrefix)
        {
            Require(Width, stored.Hidden, model.Hidden);
            return;
        }
        Require(Width, stored.KeyWidth, model.KeyWidth);
        Require(Layers, stored.Layers, model.Layers);
        Require(Heads, stored.KeyValueHeads, model.KeyValueHeads);

        void Require(string key, int found, int expected)
        {
            if (found != expected)
            {
                throw new InputException(
                    $"{path}: {key} is {found}, expected {expected} for this model; is it the prompt of another one?"
                );
            }
        }
    }
}
