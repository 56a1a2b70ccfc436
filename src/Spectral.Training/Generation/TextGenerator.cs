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
        void Chosen(int row, int token) => options.OnToken?.Invoke(token);
        return Run(model, [prompt], [null], options, Chosen, cancellation)[0];
    }

    /// <summary>
    /// Continues several prompts together, one row of a batch each, to what continuing each by itself gives. A model
    /// whose rotary angles depend on the length of the sequence continues them one by one. Prompts for an adapter of a
    /// set that cannot run beside others (<see cref="AdapterSet.WhyAlone"/>) have batches of their own.
    /// </summary>
    /// <param name="model">The model, with its adapter or an <see cref="AdapterSet"/> if one is attached.</param>
    /// <param name="tokenizer">The tokenizer of the model.</param>
    /// <param name="prompts">The tokens of each prompt.</param>
    /// <param name="adapters">
    /// The adapter of the set that continues each prompt, null for the base; null: there is no set.
    /// </param>
    /// <param name="options">
    /// Length, sampling and end tokens. Each prompt is sampled with the same seed. Single tokens are not reported.
    /// </param>
    /// <param name="batch">The number of prompts in a batch.</param>
    /// <param name="progress">Receives the number of prompts done.</param>
    /// <param name="cancellation">Checked between tokens.</param>
    /// <exception cref="InputException">
    /// A prompt has no tokens, or prompt and continuation exceed the model's positions, or a prompt names an adapter
    /// that there is not.
    /// </exception>
    public static GeneratedText[] GenerateAll(
        CausalLanguageModel model,
        BpeTokenizer tokenizer,
        IReadOnlyList<int[]> prompts,
        IReadOnlyList<string?>? adapters,
        GenerationOptions options,
        int batch = 8,
        IProgress<int>? progress = null,
        CancellationToken cancellation = default
    ) =>
        [
            .. prompts.Zip(
                GenerateAll(model, prompts, adapters, options, batch, progress, cancellation),
                (prompt, tokens) => new GeneratedText(TextBehind(tokenizer, prompt, tokens), tokens)
            ),
        ];

    /// <summary>
    /// Returns the token ids that follow each of several prompts, without the end tokens, as the method of the same
    /// name with a tokenizer continues them.
    /// </summary>
    /// <param name="model">The model, with its adapter or an <see cref="AdapterSet"/> if one is attached.</param>
    /// <param name="prompts">The tokens of each prompt.</param>
    /// <param name="adapters">
    /// The adapter of the set that continues each prompt, null for the base; null: there is no set.
    /// </param>
    /// <param name="options">Length, sampling and end tokens, the same for each prompt.</param>
    /// <param name="batch">The number of prompts in a batch.</param>
    /// <param name="progress">Receives the number of prompts done.</param>
    /// <param name="cancellation">Checked between tokens.</param>
    /// <exception cref="InputException">
    /// A prompt has no tokens, or prompt and continuation exceed the model's positions, or a prompt names an adapter
    /// that there is not.
    /// </exception>
    public static int[][] GenerateAll(
        CausalLanguageModel model,
        IReadOnlyList<int[]> prompts,
        IReadOnlyList<string?>? adapters,
        GenerationOptions options,
        int batch = 8,
        IProgress<int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        adapters ??= new string?[prompts.Count];
        if (adapters.Count != prompts.Count)
            throw new ArgumentException($"{adapters.Count} adapters for {prompts.Count} prompts", nameof(adapters));
        var set = model.Adapter as AdapterSet;
        int[][] texts = new int[prompts.Count][];
        int done = 0;
        foreach (IGrouping<string?, int> part in Enumerable.Range(0, prompts.Count).GroupBy(Lone).ToArray())
        {
            using IDisposable? attached = part.Key is null ? null : set!.Alone(part.Key);
            // Rows of one adapter side by side are one product.
            IEnumerable<int> order = part.OrderBy(i => adapters[i], StringComparer.Ordinal);
            foreach (int[] rows in order.Chunk(model.Config.AnglesFollowLength ? 1 : batch))
            {
                int[][] tokens = Run(
                    model,
                    [.. rows.Select(row => prompts[row])],
                    [.. rows.Select(row => adapters[row])],
                    options,
                    (_, _) => { },
                    cancellation
                );
                foreach ((int row, int[] own) in rows.Zip(tokens))
                    texts[row] = own;
                progress?.Report(done += rows.Length);
            }
        }
        return texts;

        string? Lone(int prompt) =>
            set is not null && adapters[prompt] is { } name && set.WhyAlone(name) is not null ? name : null;
    }

    private static int[][] Run(
        CausalLanguageModel model,
        int[][] prompts,
        string?[] adapters,
        GenerationOptions options,
        Action<int, int> chosen,
        CancellationToken cancellation
    )
    {
        if (model.Config.Classifier is not null)
            throw new InputException("the model gives classes or a number, expected one that predicts tokens");
        int before = Adapter.Of(model)?.VirtualTokens ?? 0;
        foreach (int[] prompt in prompts)
        {
            if (prompt.Length == 0)
                throw new InputException("the prompt has no tokens");
            if (before + prompt.Length + options.MaxTokens <= model.Config.LongestSequence)
                continue;
            string others = before > 0 ? $"{before} virtual tokens, " : "";
            throw new InputException(
                $"{others}prompt ({prompt.Length} tokens) and continuation ({options.MaxTokens}) exceed the "
                    + $"model's {model.Config.LongestSequence} positions"
            );
        }

        int longest = prompts.Max(prompt => prompt.Length);
        using var cache = new KeyValueCache(model, prompts.Length, before + longest + options.MaxTokens);
        SamplingDraws? draws =
            options.Temperature == 0 ? null : new SamplingDraws(model.Device, options.Seed, options.MaxTokens);
        List<int>[] generated = Array.ConvertAll(prompts, _ => new List<int>());
        bool[] ended = new bool[prompts.Length];
        IReadOnlyList<int> ends = options.EndTokenIds ?? model.Config.EosTokenIds;
        int[][] input = prompts;
        for (int count = 0; count < options.MaxTokens && Array.Exists(ended, end => !end); count++)
        {
            cancellation.ThrowIfCancellationRequested();
            float[][] logits = Next(model, input, adapters, cache);
            if (count == 0)
                cache.Shorten(Array.ConvertAll(prompts, prompt => longest - prompt.Length));
            input = new int[prompts.Length][];
            for (int row = 0; row < prompts.Length; row++)
            {
                int next = draws is null ? MostProbable(logits[row]) : Sample(logits[row], options, draws[count]);
                input[row] = [next];
                if (ended[row] |= ends.Contains(next))
                    continue;
                generated[row].Add(next);
                chosen(row, next);
            }
        }
        return Array.ConvertAll(generated, tokens => tokens.ToArray());
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

    /// <summary>Returns the logits of the token after the last one of each row.</summary>
    private static float[][] Next(CausalLanguageModel model, int[][] input, string?[] adapters, KeyValueCache cache)
    {
        using var batch = new BatchTensors(model.Device, Batch.Of(input, adapters));
        int[] places = [.. input.Select((row, i) => i * batch.Source.Length + row.Length - 1)];
        using var last = Tensor.From(model.Device, places, places.Length);
        using Tensor logits = model.Logits(batch, last, cache);
        return [.. logits.ToArray().Chunk(logits.Dim(1))];
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
