namespace Spectral.Training;

/// <summary>How many scalars an adapter trains, known from its form: nothing is allocated.</summary>
public static class AdapterSize
{
    /// <summary>Number of trainable scalars over some layers; a method that shares out its rank by data has about as many.</summary>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public static long Trainable(AdapterMethod method, IEnumerable<ModuleShape> modules, AdapterOptions options) =>
        AdaptedModule.Describe(method, options, [.. modules])
            .SelectMany(module => module.AllFactors).Distinct().Where(factor => factor.Trains).Sum(factor => factor.Shape.Count);

    /// <summary>
    /// The options with the rank at which a method trains as near to <paramref name="wanted"/> scalars as it can. α follows the rank, so that the
    /// scale of the low-rank part stays what it was. Of ranks that come equally near, the given one wins, then the least; a method whose number
    /// does not depend on the rank keeps the given one.
    /// </summary>
    /// <remarks>Ranks are tried upwards, those that a method refuses left out, until its number, which never falls, is past the one wanted.</remarks>
    /// <exception cref="InputException">The method suits these layers at no rank; the message is that for the given rank.</exception>
    public static AdapterOptions WithTrainable(AdapterMethod method, IReadOnlyList<ModuleShape> modules, AdapterOptions options, long wanted)
    {
        var largest = Math.Max(options.Rank, modules.Max(module => Math.Min(module.Out, module.In)));
        (AdapterOptions Options, long Distance)? best = null;
        foreach (var rank in Enumerable.Range(0, largest + 1))
        {
            var tried = options.AtRank(rank);
            if (Count(method, modules, tried) is not { } count)
                continue;
            var distance = Math.Abs(count - wanted);
            if (best is null || distance < best.Value.Distance || (distance == best.Value.Distance && rank == options.Rank))
                best = (tried, distance);
            if (count > wanted && rank >= options.Rank)
                break;
        }
        if (best is null)
            Trainable(method, modules, options);   // says why
        return best?.Options ?? options;
    }

    /// <summary>Whether a method's number of trainable scalars depends on the rank.</summary>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public static bool DependsOnRank(AdapterMethod method, IReadOnlyList<ModuleShape> modules, AdapterOptions options)
    {
        var count = Trainable(method, modules, options);
        var others = new[] { options.Rank + 1, options.Rank - 1, 2 * options.Rank, options.Rank / 2 };
        return others.Where(rank => rank >= 0).Any(rank => Count(method, modules, options.AtRank(rank)) is { } other && other != count);
    }

    /// <summary>Null where the method refuses the options.</summary>
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
