using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Generation;

/// <summary>Continues text token by token with cached keys and values.</summary>
/// <example>
/// <code>
/// GenerationOptions options = new() { MaxTokens = 32, Temperature = 0.8, TopP = 0.95, Seed = 7 };
/// GeneratedText answer = TextGenerator.Generate(model, tokenizer, "Once upon a time", options);
/// Console.WriteLine(answer.Text);
/// </code>
/// </example>
public static class TextGenerator
{
    /// <summary>
    /// Continues <paramref name="prompt"/> until an end token or <see cref="GenerationOptions.MaxTokens"/>.
    /// </summary>
    /// <param name="model">The model, with its adapter if one is attached.</param>
    /// <param name="tokenizer">The tokenizer of the model.</param>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="options">Length, sampling and end tokens.</param>
    /// <param name="cancellation">Checked between tokens.</param>
    /// <exception cref="InputException">
    /// The prompt has no tokens, or prompt and continuation exceed the model's positions.
    /// </exception>
    public static GeneratedText Generate(
        CausalLanguageModel model,
        BpeTokenizer tokenizer,
        string prompt,
        GenerationOptions options,
        CancellationToken cancellation = default
    ) => Generate(model, tokenizer, tokenizer.EncodePrompt(prompt), options, cancellation);

    /// <summary>Continues the text of token ids.</summary>
    /// <inheritdoc cref="Generate(CausalLanguageModel, BpeTokenizer, string, GenerationOptions, CancellationToken)"/>
    public static GeneratedText Generate(
        CausalLanguageModel model,
        BpeTokenizer tokenizer,
        int[] prompt,
        GenerationOptions options,
        CancellationToken cancellation = default
    )
    {
        int[] tokens = Generate(model, prompt, options, cancellation);
        return new GeneratedText(TextBehind(tokenizer, prompt, tokens), tokens);
    }

    /// <summary>Returns the token ids that follow <paramref name="prompt"/>, without the end token.</summary>
    /// <inheritdoc cref="Generate(CausalLanguageModel, BpeTokenizer, string, GenerationOptions, CancellationToken)"/>
    public static int[] Generate(
        CausalLanguageModel model,
        int[] prompt,
        GenerationOptions options,
        CancellationToken cancellation = default
    )
    {
        if (prompt.Length == 0)
            throw new InputException("the prompt has no tokens");
        int before = Adapter.Of(model)?.VirtualTokens ?? 0;
        int capacity = before + prompt.Length + options.MaxTokens;
        if (capacity > model.Config.LongestSequence)
        {
            string others = before > 0 ? $"{before} virtual tokens, " : "";
            throw new InputException(
                $"{others}prompt ({prompt.Length} tokens) and continuation ({options.MaxTokens}) exceed the "
                    + $"model's {model.Config.LongestSequence} positions"
            );
        }

        using var cache = new KeyValueCache(model, 1, capacity);
        SamplingDraws? draws =
            options.Temperature == 0 ? null : new SamplingDraws(model.Device, options.Seed, options.MaxTokens);
        var generated = new List<int>();
        IReadOnlyList<int> ends = options.EndTokenIds ?? model.Config.EosTokenIds;
        int[] input = prompt;
        while (generated.Count < options.MaxTokens)
        {
            cancellation.ThrowIfCancellationRequested();
            float[] logits = Next(model, input, cache);
            int next = draws is null ? MostProbable(logits) : Sample(logits, options, draws[generated.Count]);
            if (ends.Contains(next))
                break;
            generated.Add(next);
            options.OnToken?.Invoke(next);
            input = [next];
        }
        return [.. generated];
    }

    /// <summary>
    /// Returns the text that tokens add to those before. Decoders strip a space at the beginning of a text, so that
    /// both are decoded together. If the border splits a character, the tokens are decoded alone.
    /// </summary>
    private static string TextBehind(BpeTokenizer tokenizer, int[] before, int[] tokens)
    {
        string first = tokenizer.Decode(before);
        string whole = tokenizer.Decode([.. before, .. tokens]);
        return whole.StartsWith(first, StringComparison.Ordinal) ? whole[first.Length..] : tokenizer.Decode(tokens);
    }

    private static float[] Next(CausalLanguageModel model, int[] input, KeyValueCache cache)
    {
        using var batch = new BatchTensors(model.Device, Batch.Of(input));
        using var last = Tensor.From(model.Device, [input.Length - 1], 1);
        using Tensor logits = model.Logits(batch, last, cache);
        return logits.ToArray();
    }

    private static int MostProbable(float[] logits) => Array.IndexOf(logits, logits.Max());

    /// <summary>
    /// Returns the token at a point of the line from 0 to 1, on which tokens lie in order of probability, ties by lower
    /// id.
    /// </summary>
    private static int Sample(float[] logits, GenerationOptions options, double place)
    {
        double top = logits.Max();
        double[] weights = Array.ConvertAll(logits, logit => Math.Exp((logit - top) / options.Temperature));
        int[] order = Enumerable.Range(0, weights.Length).OrderByDescending(id => weights[id]).ToArray();
        double total = weights.Sum();
        int kept = 0;
        double mass = 0.0;
        while (kept == 0 || (kept < order.Length && mass < options.TopP * total))
            mass += weights[order[kept++]];
        double point = place * mass;
        for (int i = 0; i < kept - 1; i++)
        {
            point -= weights[order[i]];
            if (point < 0)
                return order[i];
        }
        return order[kept - 1];
    }
}
