namespace Spectral.Training.Models;

/// <summary>
/// Lists the tensors of a model with a given config, for the loader, the writer and fresh initialisation.
/// </summary>
public static class ModelTensors
{
    /// <summary>Lists the linear layers of all decoder layers. The output head is not included.</summary>
    public static IEnumerable<LinearSpec> Linears(ModelConfig config) =>
        Enumerable.Range(0, config.Layers).SelectMany(layer => config.Family.Linears(config, layer));

    /// <summary>
    /// Lists every tensor that the model uses, in the same order: those of <see cref="For"/>, and the head even if it
    /// is tied to the embedding.
    /// </summary>
    public static IEnumerable<TensorSpec> Untied(ModelConfig config) => For(config with { TieWordEmbeddings = false });

    /// <summary>
    /// Lists every layer that an adapter can change: the linear layers, the embedding, and the head, which may have a
    /// layer before it. The embedding's
    /// weight [V, D] counts as that of a layer with V outputs that is looked up instead of multiplied.
    /// </summary>
    public static IEnumerable<LinearSpec> Adaptable(ModelConfig config) =>
        Linears(config)
            .Concat(config.Pooler is { } pooler ? [pooler] : [])
            .Append(new(config.Family.Embedding, config.VocabularySize, config.HiddenSize, false))
            .Append(config.Head);

    /// <summary>Lists every tensor of the model, in order of use in forward.</summary>
    public static IEnumerable<TensorSpec> For(ModelConfig config) =>
        [
            .. First(config),
            .. Enumerable.Range(0, config.Layers).SelectMany(layer => OfLayer(config, layer)),
            .. Last(config),
            .. OfHead(config),
        ];

    /// <summary>
    /// Groups every tensor of the model by those that are read together, in order of use in forward: what is before the
    /// layers, each layer, and what follows. A head that is tied to the embedding is read with it.
    /// </summary>
    internal static IEnumerable<IReadOnlyList<TensorSpec>> Units(ModelConfig config)
    {
        TensorSpec[] head = [.. OfHead(config)];
        yield return [.. First(config), .. config.TieWordEmbeddings ? head : []];
        for (int layer = 0; layer < config.Layers; layer++)
            yield return [.. OfLayer(config, layer)];
        yield return [.. Last(config), .. config.TieWordEmbeddings ? [] : head];
    }

    /// <summary>Returns the number of the decoder layer of every module that belongs to one.</summary>
    internal static Dictionary<string, int> LayersOfModules(ModelConfig config) =>
        Enumerable
            .Range(0, config.Layers)
            .SelectMany(layer => OfLayer(config, layer).Select(tensor => (Module: ModuleOf(tensor.Name), layer)))
            .DistinctBy(pair => pair.Module)
            .ToDictionary(pair => pair.Module, pair => pair.layer);

    private static IEnumerable<TensorSpec> First(ModelConfig config)
    {
        yield return new TensorSpec(config.Family.EmbeddingWeight, [config.VocabularySize, config.HiddenSize]);
        if (config.Family.PositionsWeight is { } positions)
            yield return new TensorSpec(positions, [config.MaxPositions, config.HiddenSize]);
        if (config.Family.TokenTypesWeight is { } types)
            yield return new TensorSpec(types, [config.TokenTypes, config.HiddenSize]);
        foreach (TensorSpec tensor in config.Family.EmbeddingNorm(config)?.Tensors ?? [])
            yield return tensor;
    }

    private static IEnumerable<TensorSpec> OfLayer(ModelConfig config, int layer)
    {
        foreach (TensorSpec tensor in config.Family.Norms(config, layer).SelectMany(norm => norm.Tensors))
            yield return tensor;
        foreach (LinearSpec linear in config.Family.Linears(config, layer))
        {
            yield return new TensorSpec(linear.Weight, [linear.Outputs, linear.Inputs])
            {
                IsTransposed = linear.IsTransposed,
            };
            if (linear.HasBias)
                yield return new TensorSpec(linear.Bias, [linear.Outputs]);
        }
    }

    private static IEnumerable<TensorSpec> Last(ModelConfig config)
    {
        foreach (TensorSpec tensor in config.Family.LastNorm(config)?.Tensors ?? [])
            yield return tensor;
        if (config.Pooler is not { } pooler)
            yield break;
        yield return new TensorSpec(pooler.Weight, [pooler.Outputs, pooler.Inputs]);
        yield return new TensorSpec(pooler.Bias, [pooler.Outputs]);
    }

    private static IEnumerable<TensorSpec> OfHead(ModelConfig config)
    {
        if (!config.TieWordEmbeddings)
            yield return new TensorSpec(config.Head.Weight, [config.Head.Outputs, config.Head.Inputs]);
        if (config.Head.HasBias)
            yield return new TensorSpec(config.Head.Bias, [config.Head.Outputs]);
    }

    /// <summary>
    /// Lists the names of the weights that may be quantised: those of the linear layers of all decoder layers, without
    /// the routers of experts.
    /// </summary>
    internal static IReadOnlySet<string> Quantizable(ModelConfig config) =>
        Linears(config).Where(linear => !linear.IsRouter).Select(linear => linear.Weight).ToHashSet();

    /// <summary>Lists the names of the tensors that files have with rows and columns exchanged.</summary>
    internal static IReadOnlySet<string> Transposed(ModelConfig config) =>
        For(config).Where(tensor => tensor.IsTransposed).Select(tensor => tensor.Name).ToHashSet();

    /// <summary>Returns the name of the module that a tensor belongs to.</summary>
    internal static string ModuleOf(string tensor) => tensor[..tensor.LastIndexOf('.')];

    /// <summary>Returns the last part of a module's name, which options use as its name.</summary>
    internal static string EndOf(string module) => module[(module.LastIndexOf('.') + 1)..];
}
