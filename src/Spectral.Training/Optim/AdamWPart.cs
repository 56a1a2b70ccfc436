using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>AdamW on some of the parameters, for optimizers that suit only the others.</summary>
internal sealed class AdamWPart
{
    private readonly OptimizerRun _run;
    private readonly List<(int Index, Tensor Gradient, Tensor First, Tensor Second)> _parts = [];

    /// <summary>Declares both moments of each of the parameters.</summary>
    /// <param name="run">What the optimizer works with.</param>
    /// <param name="indices">The numbers of the parameters.</param>
    /// <param name="replaced">What takes the place of gradients; those that are missing are used as they are.</param>
    public AdamWPart(
        OptimizerRun run,
        IEnumerable<int> indices,
        IReadOnlyDictionary<Parameter, Tensor>? replaced = null
    )
    {
        _run = run;
        foreach (int index in indices)
        {
            Parameter parameter = run.Parameters.Parameters[index];
            _parts.Add(
                (
                    index,
                    replaced?.GetValueOrDefault(parameter) ?? parameter.Gradient!,
                    run.PerParameter(AdamWOptimizer.First, parameter),
                    run.PerParameter(AdamWOptimizer.Second, parameter)
                )
            );
        }
    }

    /// <summary>Launches the update of these parameters.</summary>
    public void Update()
    {
        foreach ((int index, Tensor gradient, Tensor first, Tensor second) in _parts)
        {
            AdamW.Step(
                _run.Parameters.Parameters[index].Master,
                gradient,
                first,
                second,
                _run.StepState,
                (float)_run.Parameters.RateOf(index)
            );
        }
    }
}
