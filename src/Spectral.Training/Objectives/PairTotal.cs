using Spectral.Training.Distributed;

namespace Spectral.Training.Objectives;

/// <summary>Adds up the losses and rewards of pairs, or of single answers.</summary>
internal sealed class PairTotal
{
    private int _records;
    private int _right;
    private int _chosenSides;
    private int _rejectedSides;
    private double _chosen;
    private double _rejected;

    /// <summary>The sum of the losses.</summary>
    public double Loss { get; private set; }

    /// <summary>The mean of the losses; 0 without records.</summary>
    public double MeanLoss => Mean(Loss, _records);

    /// <summary>The means of the rewards and the accuracy; null without records.</summary>
    public PairScores? Scores =>
        _records == 0
            ? null
            : new PairScores(Mean(_chosen, _chosenSides), Mean(_rejected, _rejectedSides), Mean(_right, _records));

    /// <summary>Returns the total of the pairs of all ranks.</summary>
    public PairTotal Over(RankGroup ranks)
    {
        Span<double> sums = [_records, _right, _chosenSides, _rejectedSides, _chosen, _rejected, Loss];
        ranks.Sum(sums);
        return new PairTotal
        {
            _records = (int)sums[0],
            _right = (int)sums[1],
            _chosenSides = (int)sums[2],
            _rejectedSides = (int)sums[3],
            _chosen = sums[4],
            _rejected = sums[5],
            Loss = sums[6],
        };
    }

    /// <summary>Adds the loss and rewards of a pair.</summary>
    public void Add(PairTerm term)
    {
        (_records, _chosenSides, _rejectedSides) = (_records + 1, _chosenSides + 1, _rejectedSides + 1);
        Loss += term.Loss;
        _chosen += term.ChosenReward;
        _rejected += term.RejectedReward;
        _right += term.ChosenReward > term.RejectedReward ? 1 : 0;
    }

    /// <summary>Adds a single answer.</summary>
    public void Add(SideTerm term, bool isGood)
    {
        _records++;
        Loss += term.Loss;
        _right += term.IsRight ? 1 : 0;
        if (isGood)
            (_chosen, _chosenSides) = (_chosen + term.Reward, _chosenSides + 1);
        else
            (_rejected, _rejectedSides) = (_rejected + term.Reward, _rejectedSides + 1);
    }

    /// <summary>Adds the records of another total.</summary>
    public void Add(PairTotal other)
    {
        _records += other._records;
        _chosenSides += other._chosenSides;
        _rejectedSides += other._rejectedSides;
        Loss += other.Loss;
        _chosen += other._chosen;
        _rejected += other._rejected;
        _right += other._right;
    }

    private static double Mean(double sum, int count) => count == 0 ? 0 : sum / count;
}
