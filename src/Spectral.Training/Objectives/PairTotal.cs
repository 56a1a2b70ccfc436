using Spectral.Training.Distributed;

namespace Spectral.Training.Objectives;

/// <summary>Adds up the losses and rewards of pairs.</summary>
internal sealed class PairTotal
{
    private int _pairs;
    private int _right;
    private double _chosen;
    private double _rejected;

    /// <summary>The sum of the losses.</summary>
    public double Loss { get; private set; }

    /// <summary>The mean of the losses; 0 without pairs.</summary>
    public double MeanLoss => _pairs == 0 ? 0 : Loss / _pairs;

    /// <summary>The means of the rewards and the accuracy; null without pairs.</summary>
    public PairScores? Scores =>
        _pairs == 0 ? null : new PairScores(_chosen / _pairs, _rejected / _pairs, (double)_right / _pairs);

    /// <summary>Returns the total of the pairs of all ranks.</summary>
    public PairTotal Over(RankGroup ranks)
    {
        Span<double> sums = [_pairs, _right, _chosen, _rejected, Loss];
        ranks.Sum(sums);
        return new PairTotal
        {
            _pairs = (int)sums[0],
            _right = (int)sums[1],
            _chosen = sums[2],
            _rejected = sums[3],
            Loss = sums[4],
        };
    }

    /// <summary>Adds a pair.</summary>
    public void Add(PairTerm term)
    {
        _pairs++;
        Loss += term.Loss;
        _chosen += term.ChosenReward;
        _rejected += term.RejectedReward;
        _right += term.ChosenReward > term.RejectedReward ? 1 : 0;
    }

    /// <summary>Adds the pairs of another total.</summary>
    public void Add(PairTotal other)
    {
        _pairs += other._pairs;
        Loss += other.Loss;
        _chosen += other._chosen;
        _rejected += other._rejected;
        _right += other._right;
    }
}
