using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Building;

/// <summary>Declares the trained entries of a weight, for methods that differ in which entries these are.</summary>
/// <remarks>
/// An entry costs 16 bytes, whatever the size of the weight: its place, its value and two moments of the optimizer.
/// While training there are 4 more for the gradient.
/// </remarks>
internal static class SparseMasks
{
    /// <summary>The names of the places and of the values in files.</summary>
    public const string Places = "mask_indices";
    public const string Values = "mask_values";

    /// <summary>
    /// Returns the form of a sparse change with values that begin at zero. The method writes the places when it
    /// initializes.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="places">The name of the places.</param>
    /// <param name="values">The name of the values.</param>
    public static AdapterForm Form(AdapterBuilder layer, long count, string places = Places, string values = Values)
    {
        Factor index = layer.Places(places, count);
        return new AdapterForm { Entries = [new SparseChange(index, layer.Trained(values, index.Shape))] };
    }

    /// <summary>Returns the number of scalars of a LoRA of the layer's rank, r (out + in).</summary>
    public static long LoraBudget(AdapterBuilder layer) => layer.Rank * ((long)layer.Out + layer.In);
}
