using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>A linear layer y = x Wᵀ + bias of a model, to which an adapter can be attached.</summary>
public sealed class Linear
{
    /// <summary>Creates a layer on parameters, which stay owned by the model.</summary>
    /// <param name="name">The path of the module.</param>
    /// <param name="weight">The weight [out, in].</param>
    /// <param name="bias">The bias [out], or null.</param>
    public Linear(string name, Parameter weight, Parameter? bias)
    {
        Name = name;
        Weight = weight;
        Bias = bias;
        Siblings = new SiblingLinears(this);
    }

    /// <summary>The path of the module as in Hugging Face, e.g. <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public string Name { get; }

    /// <summary>The weight W [out, in].</summary>
    public Parameter Weight { get; }

    /// <summary>The bias [out], or null.</summary>
    public Parameter? Bias { get; }

    /// <summary>What an attached adapter does in this layer; null if it has none.</summary>
    internal ILayerAdapter? Adapter { get; set; }

    /// <summary>The layers that read the same input as this one, including this one.</summary>
    public SiblingLinears Siblings { get; internal set; }

    /// <summary>The number of output features.</summary>
    public int Out => Weight.Shape[0];

    /// <summary>The number of input features.</summary>
    public int In => Weight.Shape[1];

    /// <summary>Whether anything in this layer trains in the current step.</summary>
    public bool Trains => Weight.Trains || Bias is { Trains: true } || Adapter is { Trains: true };

    /// <summary>Whether backward reads the layer's input, which is saved only then.</summary>
    internal bool NeedsInput => Weight.Trains || Adapter is { NeedsInput: true };
}
