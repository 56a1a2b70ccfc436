using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters;

/// <summary>The entries of a layer that a run keeps of a whole weight's change.</summary>
/// <param name="Places">The places, row · in + column, ascending and distinct.</param>
/// <param name="Values">The change of each.</param>
internal sealed record ChosenEntries(int[] Places, float[] Values)
{
    /// <summary>
    /// The setting of methods that begin with whole weights and keep some entries of them: how many a layer has.
    /// </summary>
    public static AdapterSetting Kept { get; } =
        AdapterSetting.Whole(
            "entries",
            0,
            0,
            int.MaxValue,
            "Number of entries that are kept of a layer, which training sets; 0: the whole weight as yet."
        ) with
        {
            PeftPatternKey = "entries_pattern",
        };

    /// <summary>Returns the options of a layer that has these entries, or room for one where there are none.</summary>
    public AdapterOptions For(AdapterOptions options) => options.With(Kept.Name, Math.Max(1, Places.Length));

    /// <summary>Writes the entries into the sparse change of a layer with the options of <see cref="For"/>.</summary>
    public void WriteTo(AdaptedModule module)
    {
        SparseChange change = module.Form.Entries[0];
        change.Index.CopyFrom(Places.Length == 0 ? [-1] : Places);
        ((Factor)change.Values).Parameter.Master.CopyFrom(Places.Length == 0 ? [0] : Values);
    }
}
