using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Adapters;

/// <summary>
/// The base weights of an adapter whose method quantises them again without a part of them
/// (<see cref="AdapterForm.Subtracted"/>). They stand in for the model's own until disposal. Those leave the memory and
/// are read again where somebody asks for the base alone, as losses do that compare with it.
/// </summary>
internal sealed class RequantizedBase : IDisposable
{
    private readonly List<(Parameter Weight, Parameter StandIn)> _weights = [];

    private RequantizedBase() { }

    /// <summary>Quantises the weights of some layers again; null: none of them has to be.</summary>
    /// <exception cref="InputException">The model does not quantise its layers itself.</exception>
    public static RequantizedBase? Of(
        CausalLanguageModel model,
        AdapterMethod method,
        IEnumerable<AdaptedModule> modules
    )
    {
        if (!method.RequantizesBase)
            return null;
        if (model.Shards is not null)
        {
            throw new InputException(
                $"--shard: {method.Name} quantises the weights again, and a rank has a part of each: expected another "
                    + "method, or no --shard"
            );
        }

        var linears = model.Linears.ToDictionary(linear => linear.Name);
        using ModelFolder? folder = Open(model, method);
        var all = new RequantizedBase();
        try
        {
            foreach (AdaptedModule module in modules)
            {
                Linear linear = linears[module.Shape.Name];
                all.Add(linear.Weight, module.Form.Subtracted!, Original(model, folder, linear));
                linear.Weight.Release(() => Again(model, method, linear));
            }
            return all;
        }
        catch
        {
            all.Dispose();
            throw;
        }
    }

    /// <summary>Opens the folder with the weights before they were quantised; null: the model has none.</summary>
    /// <exception cref="InputException">The model does not quantise its layers itself.</exception>
    public static ModelFolder? Open(CausalLanguageModel model, AdapterMethod method)
    {
        method.RequireSuits(model.Quantization);
        return model.Path is null ? null : ModelFolder.Open(model.Path);
    }

    /// <summary>Returns a layer's weight before it was quantised.</summary>
    public static OriginalWeight Original(CausalLanguageModel model, ModelFolder? folder, Linear linear) =>
        new(model.Device, linear.Weight.Shape, folder?[linear.Weight.Name], model.Quantization!);

    /// <summary>The names of the weights.</summary>
    public IEnumerable<string> Names => _weights.Select(pair => pair.Weight.Name);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Parameter weight, Parameter standIn) in _weights)
        {
            weight.StandIn = null;
            standIn.Dispose();
        }

        _weights.Clear();
    }

    private static QuantizedMatrix Again(CausalLanguageModel model, AdapterMethod method, Linear linear)
    {
        using ModelFolder? folder = Open(model, method);
        return Original(model, folder, linear).Rounded();
    }

    private void Add(Parameter weight, LowRankTerm part, OriginalWeight original)
    {
        QuantizedMatrix rest = original.Without(part.Left.Value, part.Right.Value, part.Scale);
        _weights.Add((weight, weight.StandIn = new Parameter(weight.Name, rest, weight.DType)));
    }
}
