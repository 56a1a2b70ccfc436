using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Moves the masters along random directions and brings them back to the same bits. The directions are made from the
/// run's seed where they are needed; only the masters are kept twice while losses are measured.
/// </summary>
internal sealed class RandomDirections
{
    private readonly OptimizerRun _run;
    private readonly Tensor[] _kept; // the masters while they are moved
    private readonly Tensor _weights;

    /// <summary>Allocates the memory for a number of directions in a step.</summary>
    public RandomDirections(OptimizerRun run, int members)
    {
        _run = run;
        _kept = [.. run.Parameters.Masters.Select(master => run.Scratch(master.Shape))];
        _weights = run.Scratch(members);
    }

    /// <summary>Keeps the masters, before the first move of a step.</summary>
    public void Keep()
    {
        foreach ((Tensor kept, Tensor master) in _kept.Zip(_run.Parameters.Masters))
            kept.CopyFrom(master);
    }

    /// <summary>Puts what was kept, moved by <paramref name="scale"/> times a direction, into the masters.</summary>
    public void Move(int member, float scale)
    {
        for (int i = 0; i < _run.Parameters.Parameters.Count; i++)
        {
            using Tensor kept = _run.Parameters.PartOf(_kept, i);
            RandomSearch.Perturb(kept, scale, member, i, _run.StepState, _run.Parameters.Parameters[i].Master);
        }
    }

    /// <summary>Brings the masters back to what was kept.</summary>
    public void BringBack()
    {
        foreach ((Tensor kept, Tensor master) in _kept.Zip(_run.Parameters.Masters))
            master.CopyFrom(kept);
    }

    /// <summary>Updates the masters by the sum of the weighted directions.</summary>
    /// <param name="weigh">Writes the weights.</param>
    public void Step(Action<Tensor> weigh)
    {
        weigh(_weights);
        for (int i = 0; i < _run.Parameters.Parameters.Count; i++)
        {
            RandomSearch.Step(
                _run.Parameters.Parameters[i].Master,
                _weights,
                i,
                _run.StepState,
                (float)_run.Parameters.RateOf(i)
            );
        }
    }
}
