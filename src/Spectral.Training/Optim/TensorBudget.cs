using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Training.Optim;

/// <summary>
/// Trains only the tensors that matter most within a budget of work (Huang, Yin, Gao, "Towards Green AI in Fine-Tuning
/// Large Language Models via Adaptive Backpropagation", 2023, arXiv 2309.13192): after the first step of each interval,
/// in which all train, those with the largest Σ ∣g·Δθ∣ are chosen whose gradients take at most a share of the products
/// that all gradients take. The others, and what the optimizer keeps of them, stay as they are, to the bit.
/// </summary>
internal sealed class TensorBudget
{
    private readonly Optimizer _optimizer;
    private readonly ParameterSet _parameters;
    private readonly int _interval;
    private readonly long[] _costs;
    private readonly long _budget;
    private readonly Tensor _paused; // [tensors] I32: 1 for those that do not train; saved with the optimizer's state
    private readonly List<(Tensor Tensor, Tensor Copy)> _kept = [];
    private float[][]? _before;

    /// <summary>Declares the choice as state of the optimizer.</summary>
    /// <param name="optimizer">The optimizer, which calls this object in its steps.</param>
    /// <param name="share">The share of the work, above 0 and below 1.</param>
    /// <param name="interval">The number of steps from one choice to the next, at least 2.</param>
    public TensorBudget(Optimizer optimizer, double share, int interval)
    {
        (_optimizer, _parameters, _interval) = (optimizer, optimizer.Parameters, interval);
        // A gradient of a matrix takes two operations for each of its values and each row of the input.
        _costs = [.. _parameters.Parameters.Select(parameter => parameter.Shape.Count)];
        _budget = (long)(share * _costs.Sum());
        _paused = optimizer.Run.State("paused_tensors", _costs.Length, DType.I32);
        optimizer.Budget = this;
    }

    /// <summary>Checks that a share of the work is enough for one tensor, before anything is allocated.</summary>
    /// <exception cref="InputException">No tensor fits into the budget.</exception>
    public static void Check(ParameterSet parameters, double share)
    {
        double least = parameters.Parameters.Min(parameter => parameter.Shape.Count) / (double)parameters.Count;
        if (share >= least)
            return;
        throw new InputException(
            FormattableString.Invariant($"--flop-budget {share}: no tensor fits into it, expected at least {least:G3}")
        );
    }

    /// <summary>The number of tensors that train in the current step.</summary>
    public int Training => _parameters.Parameters.Count(parameter => !parameter.IsPaused);

    /// <summary>Pauses the tensors that do not train in a step, or none in the first step of an interval.</summary>
    /// <param name="step">The number of the step, from 1.</param>
    public void Begin(int step)
    {
        bool measures = (step - 1) % _interval == 0;
        int[]? paused = measures ? null : _paused.ToInt32Array();
        for (int i = 0; i < _costs.Length; i++)
            _parameters.Parameters[i].IsPaused = paused?[i] > 0;
        _before = measures ? Masters() : null;
    }

    /// <summary>Clears what reached the gradients of paused tensors, such as a penalty.</summary>
    public void Complete()
    {
        foreach (Parameter parameter in _parameters.Parameters.Where(parameter => parameter.IsPaused))
            parameter.Gradient!.Clear();
    }

    /// <summary>Copies what an update must not change.</summary>
    public void Keep()
    {
        foreach (Parameter parameter in _parameters.Parameters.Where(parameter => parameter.IsPaused))
        {
            Copy(parameter.Master.Share());
            string end = $".{parameter.Name}";
            foreach (
                StateTensor state in _optimizer.States.Where(state =>
                    state.Name.EndsWith(end, StringComparison.Ordinal)
                )
            )
            {
                Copy(state.Open());
            }
        }
    }

    /// <summary>
    /// Brings back what <see cref="Keep"/> copied, and chooses anew in the first step of an interval. The gradients are
    /// still those of the step.
    /// </summary>
    public void Finish()
    {
        foreach ((Tensor tensor, Tensor copy) in _kept)
        {
            tensor.CopyFrom(copy);
            tensor.Dispose();
            copy.Dispose();
        }

        _kept.Clear();
        if (_before is null || _parameters.StepState.Read().Skipped)
            return;
        double[] importance = [.. _parameters.Parameters.Select((parameter, i) => Importance(parameter, _before[i]))];
        bool[] chosen = Knapsack.Choose(importance, _costs, _budget);
        _paused.CopyFrom([.. chosen.Select(trains => trains ? 0 : 1)]);
    }

    private static double Importance(Parameter parameter, float[] before)
    {
        (float[] gradient, float[] after) = (parameter.Gradient!.ToArray(), parameter.Master.ToArray());
        double sum = 0;
        for (int i = 0; i < before.Length; i++)
            sum += Math.Abs((double)gradient[i] * ((double)after[i] - before[i]));
        return sum;
    }

    private float[][] Masters() => [.. _parameters.Parameters.Select(parameter => parameter.Master.ToArray())];

    private void Copy(Tensor tensor)
    {
        var copy = Tensor.Empty(tensor.Device, tensor.Shape, tensor.DType);
        copy.CopyFrom(tensor);
        _kept.Add((tensor, copy));
    }
}
