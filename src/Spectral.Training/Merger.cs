using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>Folds an adapter into its base model: a plain checkpoint that needs no adapter code.</summary>
public static class Merger
{
    /// <summary>Writes the merged model folder.</summary>
    /// <remarks>
    /// W + ΔW is accumulated in F32 and rounded once to the type the base stores; every other tensor is copied bit for bit. One tensor is in memory
    /// at a time; a sharded base becomes one file.
    /// </remarks>
    /// <param name="model">The base model's folder.</param>
    /// <param name="adapterDirectory">The adapter's folder.</param>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="cancellation">Looked at between tensors.</param>
    /// <returns>Number of tensors written.</returns>
    /// <exception cref="InputException">The adapter is unusable or made for another model.</exception>
    public static int Merge(ModelFolder model, string adapterDirectory, string directory, Device device, CancellationToken cancellation = default)
    {
        using var adapter = new AdapterReader(adapterDirectory);
        adapter.CheckFits(model);
        var changed = adapter.Modules.ToDictionary(module => $"{module.Shape.Name}.weight");
        var tensors = new List<TensorToWrite>();
        foreach (var name in model.TensorNames.Order(StringComparer.Ordinal))
        {
            var source = model[name];
            var tensor = changed.TryGetValue(name, out var module)
                ? TensorToWrite.Floats(name, source.Type, source.Shape, () => MergeOne(source, adapter, module, device))
                : TensorToWrite.Copy(source);
            tensors.Add(tensor with { Write = stream => { cancellation.ThrowIfCancellationRequested(); tensor.Write(stream); } });
        }
        SafetensorsWriter.Write(Path.Combine(directory, "model.safetensors"), tensors, new Dictionary<string, string> { ["format"] = "pt" });
        File.Copy(Path.Combine(model.Directory, "config.json"), Path.Combine(directory, "config.json"), overwrite: true);
        ModelCompanions.Copy(model.Directory, directory);
        return tensors.Count;
    }

    private static float[] MergeOne(SafetensorsTensor source, AdapterReader adapter, AdaptedModule description, Device device)
    {
        using var module = new AdaptedModule(description.Shape, description.Options, description.Blocks);
        using var factors = AdaptedModule.CreateFactors(device, [module]);
        module.Fill(adapter);
        using var weight = new Parameter(source.Name, Tensor.From(device, source.ToFloats(), (module.Shape.Out, module.Shape.In)));
        var layer = new Linear(module.Shape.Name, weight, null);
        using var packed = new AdapterGroup(layer.Group, new Dictionary<string, AdaptedModule> { [layer.Name] = module }, DType.F32);
        LowRank.Merge(weight.Value, module.Core.Factors, weight.Value);
        return weight.Value.ToArray();
    }
}
