namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>
/// Chooses among the variants of an op: the forced one, if it can compute the call; else, where the device's
/// <see cref="Tuner"/> is enabled, the one that was fastest; else the one of the rule. Every choice is recorded in
/// <see cref="Device.Variants"/>, together with a forced variant that could not compute the call.
/// </summary>
/// <param name="variable">Environment variable that forces a variant.</param>
/// <param name="rule">
/// Returns the default for a case, always the same for the same case. The variant must be able to compute it.
/// </param>
/// <param name="variants">All variants of the op.</param>
internal sealed class VariantTable<TKind, TCase, TVariant>(
    string variable,
    Func<TCase, TKind> rule,
    params TVariant[] variants
)
    where TKind : struct, Enum
    where TCase : struct, IVariantCase<TCase>
    where TVariant : class, IVariant<TKind, TCase>
{
    private readonly ForcedChoice<TKind> _forced = new(
        variable,
        [.. variants.Select(variant => (variant.Name, variant.Kind))]
    );

    /// <summary>Returns the variant that is forced on a device, or null.</summary>
    public TKind? Forced(Device device) => _forced.On(device);

    /// <summary>Forces a variant on a device; null leaves the choice to the rule.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such variant.</exception>
    public void Force(Device device, TKind? kind)
    {
        if (kind is { } wanted && !variants.Any(variant => variant.Kind.Equals(wanted)))
        {
            throw new ArgumentOutOfRangeException(
                nameof(kind),
                kind,
                $"expected {string.Join(" or ", variants.Select(variant => variant.Kind))}"
            );
        }

        _forced.Force(device, kind);
    }

    /// <summary>The variant of a kind, which must be in the table.</summary>
    public TVariant this[TKind kind] => Array.Find(variants, variant => variant.Kind.Equals(kind))!;

    /// <summary>Returns the variants that can compute such a call.</summary>
    public IEnumerable<TVariant> Applicable(TCase call) => variants.Where(variant => variant.Refuses(call) is null);

    /// <summary>
    /// Returns the variant for a call and records it; <paramref name="prepare"/> makes a trial if the variants have to
    /// be timed first.
    /// </summary>
    public TVariant Choose<TState>(in TCase call, TState state, Func<TState, IVariantTrial<TVariant>> prepare) =>
        Record(
            call,
            Forced(call.Device) is null && call.Device.Tuner.Enabled ? Tuned(call, state, prepare) : ByRule(call, out _)
        );

    /// <summary>Returns the variant for a call without timing any, and why a forced one cannot compute it.</summary>
    public TVariant ByRule(in TCase call, out string? refusal)
    {
        refusal = null;
        if (Forced(call.Device) is { } kind)
        {
            TVariant forced = this[kind];
            refusal = forced.Refuses(call);
            if (refusal is null)
                return forced;
        }
        return this[rule(call)];
    }

    private TVariant Tuned<TState>(in TCase call, TState state, Func<TState, IVariantTrial<TVariant>> prepare)
    {
        Dictionary<TCase, TVariant> memory = call.Device.Tuner.Memory<TCase, TVariant>();
        if (memory.TryGetValue(call.Bucket, out TVariant? known) && known.Refuses(call) is null)
            return known;
        return memory[call.Bucket] = FromFile(call) ?? Fastest(call, prepare(state));
    }

    private TVariant? FromFile(TCase call) =>
        call.Device.Tuner.Find(call.Bucket.Key) is { } name
        && Array.Find(variants, variant => variant.Name == name) is { } known
        && known.Refuses(call) is null
            ? known
            : null;

    private TVariant Fastest(in TCase call, IVariantTrial<TVariant> made)
    {
        using IVariantTrial<TVariant> trial = made;
        Tuner tuner = call.Device.Tuner;
        TVariant best = this[rule(call)];
        double fastest = double.PositiveInfinity;
        foreach (TVariant candidate in Applicable(call))
        {
            double time = tuner.Time(() => trial.Run(candidate));
            if (time < fastest)
                (best, fastest) = (candidate, time);
        }
        tuner.Store(call.Bucket.Key, best.Name);
        return best;
    }

    private TVariant Record(in TCase call, TVariant chosen)
    {
        string? vain = null;
        string? refusal = null;
        if (Forced(call.Device) is { } kind && !kind.Equals(chosen.Kind))
            (vain, refusal) = (this[kind].Name, this[kind].Refuses(call));
        call.Device.Variants.Add(new VariantUse(call.What, chosen.Name, vain, refusal));
        return chosen;
    }
}
