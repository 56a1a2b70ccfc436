using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>Losses, logits and gradients of a model on a batch, and how near gradients are to expected ones.</summary>
internal static class Losses
{
    /// <summary>The sum of the token losses.</summary>
    public static double Of(CausalLanguageModel model, Batch batch)
    {
        using BatchTensors tensors = new(model.Device, batch);
        using Tape tape = new(model.Device, records: false);
        using Tensor loss = model.Loss(tape, tensors, 1);
        return loss.ToArray()[0];
    }

    /// <summary>The same, its gradients added to those of what trains.</summary>
    public static double WithGradients(CausalLanguageModel model, Batch batch)
    {
        using BatchTensors tensors = new(model.Device, batch);
        using Tape tape = new(model.Device);
        using Tensor loss = model.Loss(tape, tensors, 1);
        tape.Backward();
        return loss.ToArray()[0];
    }

    /// <summary>The logits of the rows that carry loss, [K, V].</summary>
    public static float[] Logits(CausalLanguageModel model, Batch batch)
    {
        using BatchTensors tensors = new(model.Device, batch);
        using Tensor logits = model.Logits(tensors, tensors.LossRows);
        return logits.ToArray();
    }

    /// <summary>The cosine of the angle between a gradient and the expected one.</summary>
    public static double Cosine(float[] actual, double[] expected) =>
        actual.Zip(expected, (x, y) => x * y).Sum()
        / Math.Sqrt(actual.Sum(value => (double)value * value) * expected.Sum(value => value * value));
}
