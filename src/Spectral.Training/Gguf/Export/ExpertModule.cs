using System.Globalization;

namespace Spectral.Training.Gguf.Export;

/// <summary>A module of one expert, as its name says.</summary>
/// <param name="Expert">The number of the expert in its layer.</param>
/// <param name="Module">The name without the number, which all experts of the layer share.</param>
internal readonly record struct ExpertModule(int Expert, string Module)
{
    private const string Experts = ".experts.";

    /// <summary>Reads the name of a module; null: it belongs to no expert.</summary>
    public static ExpertModule? Of(string name)
    {
        int at = name.IndexOf(Experts, StringComparison.Ordinal);
        if (at < 0)
            return null;
        int start = at + Experts.Length;
        int end = name.IndexOf('.', start);
        return new ExpertModule(
            int.Parse(name.AsSpan(start, end - start), CultureInfo.InvariantCulture),
            name.Remove(start, end + 1 - start)
        );
    }
}
