using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>What distinguishes one adapter method from another. Everything else comes from the shared core.</summary>
/// <remarks>
/// To add a method, add one file with one subclass: it says which factors a module gets, how they start and which train. Forward, backward,
/// packing, saving, loading, merging and export to plain LoRA follow from the blocks. Methods are found by their name, there is no list to extend.
/// </remarks>
public abstract class AdapterMethod
{
    /// <summary>Name on the command line, lower case.</summary>
    public abstract string Name { get; }

    /// <summary>One line: what changes the weight, and the source.</summary>
    public abstract string Summary { get; }

    /// <summary><c>peft_type</c> in <c>adapter_config.json</c>.</summary>
    public virtual string PeftType => Name.ToUpperInvariant();

    /// <summary>Whether the config stores <c>top_k</c>.</summary>
    public virtual bool UsesTopK => false;

    /// <summary>The terms of one module's weight change. Blocks without trainable L and R come first.</summary>
    /// <exception cref="InputException">The options do not suit this module.</exception>
    public abstract IReadOnlyList<AdapterBlock> Blocks(ModuleShape module, AdapterOptions options);

    /// <summary>Start values of all modules, together so that what is costly can be done in batches; factors not written stay zero.</summary>
    public abstract void Initialize(IReadOnlyList<AdapterStart> starts);
}

/// <summary>What <see cref="AdapterMethod.Initialize"/> works on: one module's base weight and its factors, all zero so far.</summary>
/// <param name="Module">The layer.</param>
/// <param name="Weight">Frozen base weight [out, in] in the compute type.</param>
/// <param name="Factors">F32 tensors by factor name.</param>
/// <param name="Options">The settings, any per-module pattern applied.</param>
public sealed record AdapterStart(ModuleShape Module, Tensor Weight, IReadOnlyDictionary<string, Parameter> Factors, AdapterOptions Options)
{
    /// <summary>The factor to fill.</summary>
    public Tensor this[string factor] => Factors[factor].Master;

    /// <summary>A random stream of this module's own, so that start values do not depend on the order of construction.</summary>
    public ulong Stream(string tag) => RandomStream.For($"{Module.Name}.{tag}");

    /// <summary>Kaiming-uniform with a = √5 (He et al., 2015; PyTorch's default for linear layers): U(−1/√columns, 1/√columns).</summary>
    public void KaimingUniform(string factor)
    {
        var bound = (float)(1 / Math.Sqrt(this[factor].Dim(1)));
        Philox.Uniform(this[factor], Options.Seed, Stream(factor), -bound, bound);
    }
}
