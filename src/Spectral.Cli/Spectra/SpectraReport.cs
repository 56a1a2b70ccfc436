using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// An analysis and what it was made of: what <c>analyze</c> prints with --json and shows on its page.
/// </summary>
/// <param name="Base">Model folder before tuning, as given.</param>
/// <param name="Tuned">Model folder after tuning, as given; null when an adapter is the tuning.</param>
/// <param name="Adapter">Adapter folder, as given; null when there is none.</param>
/// <param name="Device">The device that computed it.</param>
/// <param name="Settings">Settings of the analysis.</param>
/// <param name="Spectra">What was measured.</param>
internal sealed record SpectraReport(
    string Base,
    string? Tuned,
    string? Adapter,
    string Device,
    SpectraOptions Settings,
    ModelSpectra Spectra
)
{
    /// <summary>The checkpoint with scaled intruders; null without --mitigate.</summary>
    public MitigationReport? Mitigation { get; init; }

    /// <summary>The checkpoint with the principal part of each update; null without --principal.</summary>
    public PrincipalReport? Principal { get; init; }

    /// <summary>The scalars of rank-1 modules, token by token; null without --trace.</summary>
    public TraceReport? Trace { get; init; }

    /// <summary>The forgetting of the run over its checkpoints; null without --forgetting.</summary>
    public ForgettingReport? Forgetting { get; init; }
}
