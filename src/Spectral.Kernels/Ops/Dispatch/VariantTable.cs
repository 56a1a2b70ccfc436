namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>What one call of an op looks like to the choice of its variant: device, type and shapes, no data.</summary>
internal interface IVariantCase<TCase> : IEquatable<TCase>
    where TCase : struct, IVariantCase<TCase>
{
    Device Device { get; }

    /// <summary>The op, direction and type, one of a few constants: what a run records.</summary>
    string What { get; }

    /// <summary>
    /// The case that stands for all alike in timing: lengths that vary from batch to batch are rounded up.
    /// </summary>
    TCase Bucket { get; }

    /// <summary>The bucket as a line of the tune file: everything but the device.</summary>
    string Key { get; }
}

/// <summary>One way to compute an op.</summary>
internal interface IVariant<TKind, TCase>
    where TKind : struct, Enum
{
    TKind Kind { get; }

    /// <summary>As reports and the environment variable have it.</summary>
    string Name { get; }

    /// <summary>Why this variant cannot compute such a call, a constant; null when it can.</summary>
    string? Refuses(in TCase call);
}

/// <summary>
/// A call that is run by one variant after another to time them; what it needs is made once, outside of the times.
/// </summary>
internal interface IVariantTrial<TVariant> : IDisposable
{
    void Run(TVariant variant);
}

/// <summary>
/// The variants of one op and the choice among them, in this order: what is forced, if it applies; what was found
/// fastest, where the device's <see cref="Tuner"/> is enabled; the rule. Every choice is recorded in <see
/// cref="Device.Variants"/>, with what was forced in vain.
/// </summary>
/// <param name="variable">Environment variable that forces a variant.</param>
/// <param name="rule">The default, always the same for the same case; what it names must apply.</param>
/// <param name="variants">All of them.</param>
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

    /// <summary>The variant that takes part on a device whatever the rule says, or null.</summary>
    public TKind? Forced(Device device) => _forced.On(device);

    /// <summary>Forces a variant on a device, or none.</summary>
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

    public TVariant this[TKind kind] => Array.Find(variants, variant => variant.Kind.Equals(kind))!;

    /// <summary>The variants that can compute such a call.</summary>
    public IEnumerable<TVariant> Applicable(TCase call) => variants.Where(variant => variant.Refuses(call) is null);

    /// <summary>
    /// The variant for a call; <paramref name="prepare"/> makes a trial when they have to be timed first.
    /// </summary>
    public TVariant Choose<TState>(in TCase call, TState state, Func<TState, IVariantTrial<TVariant>> prepare) =>
        Record(
            call,
            Forced(call.Device) is null && call.Device.Tuner.Enabled ? Tuned(call, state, prepare) : ByRule(call, out _)
        );

    /// <summary>The variant without timing anything, and why the forced one is not it.</summary>
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
