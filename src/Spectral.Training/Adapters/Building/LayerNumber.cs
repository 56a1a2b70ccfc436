using System.Globalization;

namespace Spectral.Training.Adapters.Building;

/// <summary>Finds the block of the model to which a layer belongs.</summary>
internal static class LayerNumber
{
    /// <summary>Returns the number of the block in a layer's name, from 0; null where it has none.</summary>
    /// <param name="module">The name, e.g. <c>model.layers.3.mlp.up_proj</c>.</param>
    public static int? Of(string module)
    {
        foreach (string part in module.Split('.'))
        {
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
                return number;
        }

        return null;
    }
}
