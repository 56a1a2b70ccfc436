using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Models;

namespace Spectral.Training.Objectives;

/// <summary>
/// A loss on pairs. Forward gives the log-probability of each side; the host computes the losses and their slopes from
/// these, in F64; a slope is then the factor on the gradients of its side's tokens.
/// </summary>
/// <remarks>
/// The base is the same model while its adapter does not act, so that no second model is in memory. It is asked at the
/// beginning of a step for all micro-batches, without recording, and so without dropout and noise. The divergence is
/// that of the whole step, so that micro-batches change a step only by rounding.
/// </remarks>
/// <param name="model">The model, with its adapter if it has one.</param>
/// <param name="method">The loss.</param>
/// <param name="settings">Its settings that differ from their defaults.</param>
internal sealed class PairStepLoss(
    CausalLanguageModel model,
    PairLossMethod method,
    IReadOnlyDictionary<string, double> settings
) : StepLoss
{
    private PairTotal _total = new();
    private RowSums[] _base = [];
    private double _divergence;

    /// <inheritdoc/>
    public override PairTotal? Total => _total;

    /// <inheritdoc/>
    public override int Count(Batch batch) => Pairs(batch).Count;

    /// <inheritdoc/>
    public override void Begin(IReadOnlyList<Batch> batches, RankGroup ranks)
    {
        _total = new PairTotal();
        if (!method.NeedsBase)
            return;
        Batch[] mismatched = method.NeedsDivergence ? Mismatched(batches, ranks) : [];
        RowSums[] trained = [.. mismatched.Select(Score)];
        using (Adapter.Of(model)?.Suspend())
        {
            _base = [.. batches.Select(Score)];
            RowSums[] untrained = [.. mismatched.Select(Score)];
            if (method.NeedsDivergence)
                _divergence = Divergence(trained, untrained, ranks);
        }
    }

    /// <summary>Returns this rank's part of a step's answers that do not belong to their prompts.</summary>
    private Batch[] Mismatched(IReadOnlyList<Batch> batches, RankGroup ranks)
    {
        IReadOnlyList<EncodedRecord> sides = SharedSides.Of([.. batches.Select(Pairs)], ranks);
        // As many rows as a rank's first micro-batch has in the mean; others would differ by rounding alone.
        Span<double> total = [batches[0].Rows];
        ranks.Sum(total);
        int rows = Math.Max(1, (int)total[0] / ranks.Count);
        return [.. ranks.Share<Batch>(MismatchedPairs.Of(sides, rows, LongestRecord))];
    }

    /// <inheritdoc/>
    public override Tensor Run(int index, Tape tape, BatchTensors batch, bool checkpoint, Tensor? lossScale)
    {
        RowSums? untrained = method.NeedsBase ? _base[index] : null;
        return model.RowLoss(
            tape,
            batch,
            losses => Weigh(Pairs(batch.Source), RowSums.Of(batch.Source, losses), untrained),
            Count(batch.Source),
            checkpoint,
            lossScale
        );
    }

    /// <summary>The most tokens that a record may have beside an adapter's virtual ones.</summary>
    private int LongestRecord => model.Config.LongestSequence - (Adapter.Of(model)?.VirtualTokens ?? 0);

    /// <summary>Returns by how much the sums exceed those of the base in the mean, and 0 at least.</summary>
    private static double Divergence(RowSums[] trained, RowSums[] untrained, RankGroup ranks)
    {
        double[] gains =
        [
            .. trained.Zip(untrained).SelectMany(part => part.First.Values.Zip(part.Second.Values, (x, y) => x - y)),
        ];
        Span<double> sums = [gains.Sum(), gains.Length];
        ranks.Sum(sums);
        return sums[1] == 0 ? 0 : Math.Max(0, sums[0] / sums[1]);
    }

    private static IReadOnlyList<EncodedRecord> Pairs(Batch batch) =>
        batch.Pairs
        ?? throw new ArgumentException("a batch of records, expected one of pairs (Batch.CreatePairs)", nameof(batch));

    /// <summary>Computes the losses of a micro-batch and the factors on the gradients of its rows.</summary>
    private RowFactors Weigh(IReadOnlyList<EncodedRecord> pairs, RowSums rows, RowSums? untrained)
    {
        var factors = new RowGroup[rows.Values.Count];
        var own = new PairTotal();
        (int chosen, int rejected) = (0, pairs.Count(pair => pair.ChosenSide is not null));
        foreach (EncodedRecord pair in pairs)
        {
            if (pair.Label is { } isGood)
            {
                int row = isGood ? chosen++ : rejected++;
                SideTerm single = method.Judge(Side(row), isGood, _divergence, Setting);
                own.Add(single, isGood);
                Weight(row, single.Slope);
                continue;
            }

            PairTerm term = method.Term(Side(chosen), Side(rejected), _divergence, Setting);
            own.Add(term);
            Weight(chosen++, term.ChosenSlope);
            Weight(rejected++, term.RejectedSlope);
        }
        _total.Add(own);
        return new RowFactors(own.Loss, factors);

        // The loss of a token is −log p, so that its slope has the other sign.
        void Weight(int row, double slope) => factors[row] = new RowGroup(rows.Tokens[row], (float)-slope);

        SequenceScore Side(int row) => new(rows.Values[row], rows.Tokens[row], untrained?.Values[row] ?? 0);
    }

    private double Setting(string name) => method.ValueOf(name, settings);

    private RowSums Score(Batch batch)
    {
        if (batch.Rows == 0)
            return new RowSums([], []);
        using var tensors = new BatchTensors(model.Device, batch);
        using var tape = new Tape(model.Device, records: false);
        using Tensor losses = model.TokenLosses(tape, tensors);
        return RowSums.Of(batch, losses.ToArray());
    }
}
