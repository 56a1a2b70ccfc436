using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>Counts the scalars that an adapter trains. The form gives the number; nothing is allocated.</summary>
public static class AdapterSize
{
    private const int EveryRank = 64;
    private const int Coarse = 32;

    /// <summary>
    /// Counts the trainable scalars over some layers, and those of a soft prompt beside them; shared ones count once.
    /// For a method that distributes its rank by data the number is approximate.
    /// </summary>
    /// <param name="method">The method that adapts the layers.</param>
    /// <param name="modules">The layers to adapt.</param>
    /// <param name="options">The settings of the adapter.</param>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public static long Trainable(AdapterMethod method, IReadOnlyList<ModuleShape> modules, AdapterOptions options)
    {
        options.CheckSettings(method);
        IEnumerable<AdaptedModule> described = AdaptedModule.Describe(method, options, modules);
        if (method.PromptBeside(options) is { } prompt)
            described = described.Append(prompt.Describe(modules));
        return described
            .SelectMany(module => module.AllFactors)
            .Distinct()
            .Where(factor => factor.Trains)
            .Sum(factor => factor.Shape.Count);
    }

    /// <summary>
    /// Returns the options with the rank at which a method's number of trainable scalars is closest to
    /// <paramref name="wanted"/>. α changes with the rank, so that the scale of the low-rank terms stays the same.
    /// Among equally close ranks the given one wins, then the smallest. A method whose number does not depend on the
    /// rank keeps the given one.
    /// </summary>
    /// <param name="method">The method that adapts the layers.</param>
    /// <param name="modules">The layers to adapt.</param>
    /// <param name="options">The settings, of which only rank and alpha change.</param>
    /// <param name="wanted">The number of trainable scalars to approach.</param>
    /// <remarks>
    /// The number need not grow with the rank. So every rank up to 64 is tried, then about 32 per doubling, then every
    /// rank near the best of these. Ranks that a method refuses are skipped.
    /// </remarks>
    /// <exception cref="InputException">
    /// The method suits these layers at no rank; the message is the one for the given rank.
    /// </exception>
    public static AdapterOptions WithTrainable(
        AdapterMethod method,
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        long wanted
    )
    {
        int largest = Math.Max(options.Rank, modules.Max(module => Math.Min(module.Out, module.In)));
        (AdapterOptions Options, long Distance)? best = null;
        Try(options.Rank);
        for (int rank = 0; rank <= largest; rank += Math.Max(1, rank / Coarse))
            Try(rank);
        if (best is { Options.Rank: >= EveryRank and var near })
        {
            for (int rank = near - near / Coarse - 1; rank <= Math.Min(largest, near + near / Coarse + 1); rank++)
                Try(rank);
        }

        if (best is null)
            Trainable(method, modules, options); // throws with the reason
        return best?.Options ?? options;

        void Try(int rank)
        {
            AdapterOptions tried = options.AtRank(rank);
            if (
                Count(method, modules, tried) is { } count
                && (best is null || Math.Abs(count - wanted) < best.Value.Distance)
            )
            {
                best = (tried, Math.Abs(count - wanted));
            }
        }
    }

    /// <summary>Returns whether a method's number of trainable scalars depends on the rank.</summary>
    /// <param name="method">The method that adapts the layers.</param>
    /// <param name="modules">The layers to adapt.</param>
    /// <param name="options">The settings of the adapter.</param>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public static bool DependsOnRank(AdapterMethod method, IReadOnlyList<ModuleShape> modules, AdapterOptions options)
    {
        long count = Trainable(method, modules, options);
        int[] others = new[] { options.Rank + 1, options.Rank - 1, 2 * options.Rank, options.Rank / 2 };
        return others
            .Where(rank => rank >= 0)
            .Any(rank => Count(method, modules, options.AtRank(rank)) is { } other && other != count);
    }

    /// <summary>Counts the trainable scalars; null where the method refuses the options.</summary>
    private static long? Count(AdapterMethod method, IReadOnlyList<ModuleShape> modules, AdapterOptions options)
    {
        try
        {
            return Trainable(method, modules, options);
        }
        catch (InputException)
        {
            return null;
        }
    }
}
