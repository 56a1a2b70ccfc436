using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// A way in which model folders store quantised weights, chosen by <c>quant_method</c> in their <c>config.json</c>:
/// which tensors belong to a weight, and how codes and scales are made of them.
/// </summary>
internal abstract class StoredForm
{
    /// <summary>The part of a weight that holds its codes, unless a form calls it otherwise.</summary>
    public const string Weight = "weight";

    /// <summary>What <c>quant_method</c> says.</summary>
    public abstract string Method { get; }

    /// <summary>
    /// The tensors that a module may have for the codes and scales of its weight, without the module's name and apart
    /// from <see cref="Weight"/>.
    /// </summary>
    public abstract IReadOnlyList<string> Companions { get; }

    /// <summary>The tensors that a module may have besides, of which nothing is read.</summary>
    public virtual IReadOnlyList<string> Ignored => [];

    /// <summary>Checks the quantisation settings of <c>config.json</c>.</summary>
    /// <exception cref="InputException">They ask for something that is not read.</exception>
    public abstract void Check(JsonFields settings);

    /// <summary>Makes one weight of its stored tensors. Only small ones are read.</summary>
    /// <exception cref="InputException">A tensor is missing, or its type, shape or content is wrong.</exception>
    public abstract StoredWeight Open(WeightParts parts, QuantizationSettings settings);
}
