using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Building;

/// <summary>Selects the LoRA of a smaller rank from one that was trained to contain it.</summary>
internal static class Prefixes
{
    /// <summary>The setting for the number of directions to use.</summary>
    public static AdapterSetting Setting { get; } =
        AdapterSetting.Whole(
            "prefix",
            0,
            0,
            65536,
            "Number of leading directions to use, with the scale of that rank; 0: all of them, as in training."
        );

    /// <summary>Returns the first directions of a term; null if the whole term is to be used.</summary>
    /// <exception cref="InputException">The term has fewer directions.</exception>
    public static LowRankTerm? Of(AdapterBuilder layer, LowRankTerm term)
    {
        int prefix = (int)layer.Setting(Setting.Name);
        if (prefix > layer.Rank)
        {
            throw new InputException(
                $"prefix {prefix} for {layer.Module.Name}: expected at most its rank, {layer.Rank}"
            );
        }

        return prefix == 0
            ? null
            : new(
                term.Left.Block(0, 0, layer.Out, prefix),
                term.Right.Block(0, 0, prefix, layer.In),
                layer.Options.ScaleAt(prefix)
            );
    }
}
