using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Computes AdaLoRA's importance of the entries of trained factors (Zhang et al., 2023, arXiv 2303.10512, after
/// Molchanov et al., 2019). The score is I·U, where I is a running mean of |w·∂loss/∂w| and U one of its distance from
/// I. The cost is two more tensors per factor.
/// </summary>
internal static class Sensitivity
{
    private const string Mean = ".sensitivity";
    private const string Deviation = ".uncertainty";

    /// <summary>Declares the tensors of the running means.</summary>
    public static void Declare(AdapterBuilder layer, params Factor[] factors)
    {
        foreach (Factor factor in factors)
        {
            (_, _) = (
                layer.State(factor.Name + Mean, factor.Shape),
                layer.State(factor.Name + Deviation, factor.Shape)
            );
        }
    }

    /// <summary>
    /// Updates the means with the current gradient: I = β₁I + (1 − β₁)|w·∂w|, U = β₂U + (1 − β₂)||w·∂w| − I|.
    /// </summary>
    public static void Update(IReadOnlyDictionary<string, Parameter> factors, string name, double beta1, double beta2)
    {
        (Parameter factor, Tensor mean, Tensor deviation) = (
            factors[name],
            factors[name + Mean].Master,
            factors[name + Deviation].Master
        );
        using var now = Tensor.Empty(mean.Device, mean.Shape);
        using var sign = Tensor.Empty(mean.Device, mean.Shape);
        BroadcastMultiply.Run(factor.Master, factor.Gradient!, now, Broadcast.PerElement);
        TakeMagnitude();
        Combine.Run(mean, (float)beta1, now, (float)(1 - beta1), mean);
        Combine.Run(now, 1, mean, -1, now);
        TakeMagnitude();
        Combine.Run(deviation, (float)beta2, now, (float)(1 - beta2), deviation);

        void TakeMagnitude()
        {
            ElementwiseMap.Forward(now, sign, MapFunction.Sign);
            BroadcastMultiply.Run(now, sign, now, Broadcast.PerElement);
        }
    }

    /// <summary>Returns the mean score of each row or column. This waits for the device.</summary>
    public static float[] Scores(IReadOnlyDictionary<string, Parameter> factors, string name, Broadcast along)
    {
        (Tensor mean, Tensor deviation) = (factors[name + Mean].Master, factors[name + Deviation].Master);
        int count = mean.Dim(along == Broadcast.PerRow ? 0 : 1);
        using var scores = Tensor.Empty(mean.Device, count);
        BroadcastDot.Run(mean, deviation, scores, along, (float)count / mean.Count);
        return scores.ToArray();
    }
}
