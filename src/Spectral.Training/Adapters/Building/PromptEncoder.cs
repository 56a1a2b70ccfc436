using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The network that makes virtual tokens in training: linear layers with PyTorch's start values. It is part of a run's
/// state, and no file holds it.
/// </summary>
/// <param name="prompt">The soft prompt's module.</param>
/// <param name="count">The number of virtual tokens, n.</param>
internal sealed class PromptEncoder(AdapterBuilder prompt, int count)
{
    private Factor? _ones;

    /// <summary>Returns the setting for the width of the hidden layers, 0 unless given.</summary>
    /// <param name="name">The setting's name.</param>
    public static AdapterSetting Width(string name) =>
        AdapterSetting.Whole(name, 0, 0, 65536, "Width of the hidden layers; 0: that of a token.") with
        {
            PeftKey = "encoder_hidden_size",
        };

    /// <summary>Returns the options with the width in place of 0.</summary>
    /// <param name="options">The options.</param>
    /// <param name="method">The method.</param>
    /// <param name="setting">The name of the setting for the width.</param>
    /// <param name="width">The width of a token.</param>
    public static AdapterOptions Fit(AdapterOptions options, AdapterMethod method, string setting, int width) =>
        options.Setting(method, setting) == 0 ? options.With(setting, width) : options;

    /// <summary>Declares the embeddings [n, width] that the network reads, N(0, 1).</summary>
    public Expression Embedding(int width) => prompt.TrainedState("embedding.weight", (count, width), Start.Normal(1));

    /// <summary>
    /// Returns tanh x = (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ) of each element. Beyond ±20, where it is ±1 in F32, it is constant.
    /// </summary>
    public static Expression Tanh(Expression x)
    {
        const double Edge = 20;
        Expression negative = x.Max(-Edge).Scale(-1).Max(-Edge);
        (Expression up, Expression down) = (negative.Scale(-1).Exp(), negative.Exp());
        return up.Subtract(down).Multiply(up.Add(down).Reciprocal(), Broadcast.PerElement);
    }

    /// <summary>Declares a linear layer with a bias, and returns x Wᵀ + b for each row of x.</summary>
    /// <param name="name">The layer's name.</param>
    /// <param name="x">The input [n, in].</param>
    /// <param name="width">The number of outputs.</param>
    /// <param name="isZero">Whether the layer starts at zero.</param>
    public Expression Linear(string name, Expression x, int width, bool isZero = false)
    {
        int inputs = x.Shape[1];
        Factor weight = prompt.TrainedState(
            $"{name}.weight",
            (width, inputs),
            isZero ? Start.Zeros : Start.KaimingUniform
        );
        Factor bias = prompt.TrainedState(
            $"{name}.bias",
            width,
            isZero ? Start.Zeros : Start.Uniform(1 / Math.Sqrt(inputs))
        );
        _ones ??= prompt.State("ones", (count, 1), Start.Ones);
        return x.MatMul(weight, transposeB: true).Add(_ones.MatMul(bias.Reshape((1, width))));
    }
}
