using Spectral.Kernels;

namespace Spectral.Training.Optim;

/// <summary>
/// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) with PyTorch's conventions, on F32
/// masters. Its steps can be captured in a <see cref="Graph"/>.
/// </summary>
/// <example>
/// <code>
/// using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions { GradientClip = 1 });
/// using BatchTensors batch = new(device, Batch.Create(records));
/// using Tape tape = new(device);
/// using Tensor loss = model.Loss(tape, batch, 1f / batch.Source.LossTokens);
/// tape.Backward();
/// StepResult result = optimizer.Step(learningRate: 1e-3); // clips, updates and clears the gradients
/// </code>
/// </example>
public sealed class AdamWOptimizer : Optimizer
{
    /// <summary>The name of the first moments in a saved state.</summary>
    internal const string First = "first_moment";

    /// <summary>The name of the second moments in a saved state.</summary>
    internal const string Second = "second_moment";

    /// <summary>Prepares to train a set of parameters with AdamW.</summary>
    /// <param name="parameters">The parameters to train, which the caller keeps ownership of.</param>
    /// <param name="options">The settings of the optimizer.</param>
    public AdamWOptimizer(ParameterSet parameters, AdamWOptions options)
        : base(parameters, OptimizerMethods.Find(OptimizerChoice.Default), options) { }

    /// <summary>The running means of the gradients, parallel to <see cref="ParameterSet.Masters"/>.</summary>
    public IReadOnlyList<Tensor> FirstMoments => Run.Buffers(First);

    /// <summary>The running means of the squared gradients, parallel to <see cref="ParameterSet.Masters"/>.</summary>
    public IReadOnlyList<Tensor> SecondMoments => Run.Buffers(Second);
}
