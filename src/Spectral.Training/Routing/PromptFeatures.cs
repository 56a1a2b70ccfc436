using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Routing;

/// <summary>
/// What a base model makes of a prompt, as one vector: the mean over the prompt's tokens of the last hidden states,
/// after the final norm.
/// </summary>
internal static class PromptFeatures
{
    /// <summary>
    /// Returns the tokens of a record by which an expert is chosen: those of its prompt, or all if it is a plain text.
    /// </summary>
    public static int[] TokensOf(EncodedRecord record) =>
        record.HasCompletion ? record.Tokens[..record.PromptLength] : record.Tokens;

    /// <summary>Computes the feature [D] of each prompt with a model that has no adapter.</summary>
    /// <param name="model">The base.</param>
    /// <param name="prompts">The tokens of the prompts.</param>
    /// <param name="batch">The number of prompts in a batch. It changes results only by rounding.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="InputException">A prompt has no tokens, or its hidden states are not finite.</exception>
    public static float[][] Of(
        CausalLanguageModel model,
        IReadOnlyList<int[]> prompts,
        int batch,
        CancellationToken cancellation
    )
    {
        List<float[]> features = new(prompts.Count);
        foreach (int[][] part in prompts.Chunk(batch))
        {
            cancellation.ThrowIfCancellationRequested();
            int empty = Array.FindIndex(part, prompt => prompt.Length == 0);
            if (empty >= 0)
            {
                throw new InputException(
                    $"prompt {features.Count + empty + 1} has no tokens; expected some to choose an expert by"
                );
            }

            features.AddRange(OfBatch(model, part));
        }
        int odd = features.FindIndex(feature => FiniteValues.FirstNonFinite(feature) >= 0);
        return odd < 0
            ? [.. features]
            : throw new InputException(
                $"the hidden states of the base are not finite on prompt {odd + 1}; no expert can be chosen by them"
            );
    }

    private static IEnumerable<float[]> OfBatch(CausalLanguageModel model, int[][] prompts)
    {
        EncodedRecord[] records =
        [
            .. prompts.Select(tokens => new EncodedRecord(tokens, tokens.Length, tokens.Length, Cut: false)),
        ];
        using var tensors = new BatchTensors(model.Device, Batch.Create(records));
        using var rows = new TokenRows(model.Device, records, tensors.Source.Length);
        float[] states = model.States(tensors, rows.Index);
        int size = model.Config.HiddenSize;
        int next = 0;
        foreach (int[] prompt in prompts)
        {
            double[] sums = new double[size];
            for (int token = 0; token < prompt.Length; token++)
            {
                for (int i = 0; i < size; i++)
                    sums[i] += states[next++];
            }
            yield return Array.ConvertAll(sums, sum => (float)(sum / prompt.Length));
        }
    }
}
