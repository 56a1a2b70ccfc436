namespace Spectral.Training.IO;

/// <summary>
/// Resolves tensor names of models that were saved inside wrappers: by torch.compile, DistributedDataParallel, FSDP,
/// activation checkpointing, or PEFT, once or several times.
/// </summary>
internal static class WrappedNames
{
    // Wrappers that can be anywhere in a model; no model has such names of its own.
    private static readonly string[] Anywhere = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

    // "module" could be a model's own name at a deeper level.
    private static readonly string[] InFront = ["module.", "base_model.model."];

    // The attributes in which models with a head hold the one without.
    private static readonly string[] Bases = ["model.", "transformer.", "bert.", "roberta."];

    private const string Model = "model.";
    private const string Doubled = Model + Model;

    /// <summary>Returns the name in the model itself.</summary>
    public static string Unwrap(string name)
    {
        foreach (string wrapper in Anywhere)
        {
            if (name.Contains(wrapper, StringComparison.Ordinal))
                name = ("." + name).Replace("." + wrapper, ".", StringComparison.Ordinal)[1..];
        }
        int start = 0;
        while (Array.Find(InFront, wrapper => name.AsSpan(start).StartsWith(wrapper)) is { } found)
            start += found.Length;
        while (name.AsSpan(start).StartsWith(Doubled))
            start += Model.Length;
        return name[start..];
    }

    /// <summary>
    /// Returns which of some names a stored name stands for: itself, unwrapped, without the <c>model.</c> of an
    /// attribute that held the model, or with the <c>model.</c>, <c>transformer.</c> or the like that a model without a
    /// head lacks.
    /// </summary>
    /// <returns>The resolved name; the stored name if it stands for none of them.</returns>
    public static string Resolve(string stored, IReadOnlySet<string> names)
    {
        string unwrapped = Unwrap(stored);
        string held = unwrapped.StartsWith(Model, StringComparison.Ordinal) ? unwrapped[Model.Length..] : unwrapped;
        return Array.Find([stored, unwrapped, held, .. Bases.Select(start => start + unwrapped)], names.Contains)
            ?? stored;
    }
}
