using System.Numerics.Tensors;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Tensor = Spectral.Kernels.Tensor;

namespace Spectral.Training.Adapters;

/// <summary>Computes what a saved adapter of any method makes of a layer's weight.</summary>
internal static class DenseChange
{
    /// <summary>Computes the change ΔW [out, in] of one layer, F32.</summary>
    /// <param name="adapter">The saved adapter.</param>
    /// <param name="module">The layer in it.</param>
    /// <param name="weight">The base weight [out, in].</param>
    /// <param name="directory">The adapter's folder, for messages.</param>
    /// <exception cref="InputException">The adapter does more than change the weight.</exception>
    public static float[] Of(AdapterReader adapter, AdaptedModule module, Tensor weight, string directory)
    {
        if (!module.Form.IsMergeable || module.Form.Bias is not null)
        {
            throw new InputException(
                $"{directory}: the {adapter.Method.Name} adapter of {module.Shape.Name} does more than change its "
                    + "weight, expected one that does not"
            );
        }

        var values = Tensor.Empty(weight.Device, weight.Shape);
        Cast.Run(weight, values);
        using var wide = new Parameter($"{module.Shape.Name}.weight", values);
        if (module.Form.IsSum)
            return Read(adapter, module, wide, null, core => core.ChangeAlone());
        float[] change = Read(adapter, module, wide, null, core => core.MergedWeight());
        TensorPrimitives.Subtract(change, values.ToArray(), change);
        return change;
    }

    /// <summary>Computes one layer of a saved adapter in F32, and reads something of it.</summary>
    /// <param name="adapter">The saved adapter.</param>
    /// <param name="module">The layer in it.</param>
    /// <param name="weight">The base weight, F32.</param>
    /// <param name="bias">The layer's bias; null if it has none or the form does not change it.</param>
    /// <param name="read">Reads the result.</param>
    public static float[] Read(
        AdapterReader adapter,
        AdaptedModule module,
        Parameter weight,
        Parameter? bias,
        Func<AdapterCore, float[]> read
    )
    {
        using var factors = new BoundFactors(weight.Value.Device, [module]);
        adapter.Fill([module], _ => weight);
        var layer = new Linear(module.Shape.Name, weight, bias);
        using var packed = new PackedAdapters(
            layer.Siblings,
            new Dictionary<string, AdaptedModule> { [module.Shape.Name] = module },
            DType.F32
        );
        return read(module.Core);
    }
}
