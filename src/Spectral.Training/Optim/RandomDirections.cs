using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Moves the masters along random directions and back. The directions are made from the run's seed where they are
/// needed, and the masters are moved where they are, so that nothing is kept beside them: they return up to rounding,
/// as in the papers' own code.
/// </summary>
internal sealed class RandomDirections
{
    private readonly OptimizerRun _run;
    private readonly Tensor _weights;

    /// <summary>Allocates the weights of a number of directions in a step.</summary>
    public RandomDirections(OptimizerRun run, int members) => (_run, _weights) = (run, run.Scratch(members));

    /// <summary>Adds <paramref name="scale"/> times a direction of the step to the masters.</summary>
    public void Move(int member, float scale)
    {
        for (int i = 0; i < _run.Parameters.Parameters.Count; i++)
        {
            Tensor master = _run.Parameters.Parameters[i].Master;
            RandomSearch.Perturb(master, scale, member, i, _run.StepState, master);
        }
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
