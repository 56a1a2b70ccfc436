namespace Spectral.Bench;

/// <summary>What a variant is to the others of its scenario.</summary>
internal enum Role
{
    /// <summary>One of ours.</summary>
    Ours,

    /// <summary>
    /// What ratios to plain divide by, the fastest of them: the frozen layer alone, or the library's way where there is
    /// no layer.
    /// </summary>
    Plain,

    /// <summary>Library calls in the order: frozen product, low-rank product added to it.</summary>
    A,

    /// <summary>Library calls in the order: low-rank product, frozen product added to it.</summary>
    B,
}

/// <summary>Times of one variant, each the mean of a few calls in a row.</summary>
/// <param name="Microseconds">One entry per sample, in the order they were taken.</param>
/// <param name="CallsPerSample">Calls between the two readings of the clock.</param>
/// <param name="Clock">
/// What was read: <c>events</c> of the device, the <c>host</c>'s clock, or <c>processor</c> time of the process.
/// </param>
internal sealed record Samples(double[] Microseconds, int CallsPerSample, string Clock);

/// <summary>
/// One way to do a scenario's work: how to run it, how to see that it is right, and what it has to move and compute.
/// </summary>
/// <param name="Name">Unique within the scenario.</param>
/// <param name="Run">Queues the work once, on the buffers of the given copy.</param>
internal sealed record Variant(string Name, Action<int> Run)
{
    public Role Role { get; init; } = Role.Ours;

    /// <summary>
    /// Runs on copy 0 and says what is wrong, or null. No check, no time: only a ceiling may go without.
    /// </summary>
    public required Func<string?> Check { get; init; }

    /// <summary>
    /// Bytes that any implementation must move, from the contract of the kernels: each input read once, each output
    /// written once.
    /// </summary>
    public double Bytes { get; init; }

    /// <summary>
    /// Floating-point operations that any implementation must do, a multiplication and an addition being two.
    /// </summary>
    public double Flops { get; init; }

    /// <summary>Most samples to take, for work that lasts long.</summary>
    public int MostSamples { get; init; } = int.MaxValue;

    /// <summary>Samples to take also in a smoke run, for work whose time is worth comparing there.</summary>
    public int LeastSamples { get; init; }

    /// <summary>Whether it is a whole program, of whose kernels nothing is counted.</summary>
    public bool IsProgram { get; init; }

    /// <summary>Takes the samples itself, where device events are not the clock.</summary>
    public Func<int, Samples>? Measure { get; init; }

    /// <summary>
    /// Further figures for the report, asked for after timing: residuals, bytes allocated, tokens per second from the
    /// median in µs.
    /// </summary>
    public Func<double, IReadOnlyDictionary<string, double>>? Figures { get; init; }

    /// <summary>A variant that this machine cannot run, and why.</summary>
    public static Variant Unavailable(string name, string reason, Role role = Role.Ours) =>
        new(name, _ => { })
        {
            Check = () => null,
            Reason = reason,
            Role = role,
        };

    /// <summary>Why it cannot run; null when it can.</summary>
    public string? Reason { get; init; }
}

/// <summary>Thrown by a check that finds that the variant does not apply here.</summary>
internal sealed class NotApplicableException(string reason) : Exception(reason);
