using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Models;
using Spectral.Training.Objectives;

namespace Spectral.Training;

/// <summary>Measures a loss on pairs and the rewards of their sides.</summary>
internal static class PairEvaluator
{
    /// <summary>Scores all pairs with one forward pass per batch, and those that the loss needs besides.</summary>
    /// <param name="model">The model, including its adapter if one is attached.</param>
    /// <param name="pairs">The pairs to score.</param>
    /// <param name="loss">The loss on them.</param>
    /// <param name="batch">The number of pairs per forward pass.</param>
    /// <param name="progress">Receives the number of pairs done; null: nobody does.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <param name="ranks">The processes that share the pairs.</param>
    public static EvaluationResult Evaluate(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> pairs,
        StepLoss loss,
        int batch,
        IProgress<int>? progress,
        CancellationToken cancellation,
        RankGroup ranks
    )
    {
        var total = new PairTotal();
        (long tokens, int done) = (0, 0);
        foreach (EncodedRecord[] part in ranks.Share<EncodedRecord[]>([.. pairs.Chunk(batch)]))
        {
            cancellation.ThrowIfCancellationRequested();
            using var tensors = new BatchTensors(model.Device, Batch.CreatePairs(part));
            using var tape = new Tape(model.Device, records: false);
            loss.Begin([tensors.Source], RankGroup.Alone);
            using Tensor sum = loss.Run(0, tape, tensors);
            total.Add(loss.Total!);
            tokens += tensors.Source.LossTokens;
            done += part.Length;
            progress?.Report(done);
        }
        total = total.Over(ranks);
        Span<double> count = [tokens];
        ranks.Sum(count);
        return new EvaluationResult(total.MeanLoss, (long)count[0], null, pairs.Count) { PairScores = total.Scores };
    }
}
