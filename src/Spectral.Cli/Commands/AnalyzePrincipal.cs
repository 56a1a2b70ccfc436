using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Spectra;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Commands;

/// <summary>--principal of <c>analyze</c>: a checkpoint with the principal part of each update alone.</summary>
internal sealed class AnalyzePrincipal
{
    private static readonly PrincipalOptions Defaults = new();

    private readonly Option<string?> _folder = OptionTypes.Path(
        "--principal",
        "Also write the base model with the principal part of each update, its leading singular triplets, to this "
            + "folder: wrong labels disturb the others.",
        "DIR"
    );
    private readonly Option<double> _energy = OptionTypes.Number(
        "--principal-energy",
        "Share of ‖Δ‖² that the triplets kept hold at least.",
        Defaults.Energy,
        value => value is > 0 and <= 1,
        "a number above 0, up to 1"
    );
    private readonly Option<int?> _rank = OptionTypes.OptionalInteger(
        "--principal-rank",
        "Number of triplets to keep, in place of an energy.",
        1,
        65536
    );

    public Option[] All => [_folder, _energy, _rank];

    /// <summary>Checks the folder to write; null without --principal.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="overwrite">Whether the folder may have files in it.</param>
    /// <param name="inputs">The folders that the command reads.</param>
    /// <exception cref="InputException">
    /// The folder may not be written to, rank and energy are both given, or one of them without --principal.
    /// </exception>
    public Work? Prepare(CommandContext context, bool overwrite, params ReadOnlySpan<string?> inputs)
    {
        if (context.Get(_folder) is not { } folder)
        {
            context.RefuseWithout("--principal DIR", _energy, _rank);
            return null;
        }

        if (context.IsGiven(_energy) && context.IsGiven(_rank))
        {
            throw new InputException(
                $"--principal-energy {context.Text(_energy)} --principal-rank {context.Text(_rank)}: expected one of "
                    + "the two"
            );
        }

        var options = new PrincipalOptions { Energy = context.Get(_energy), Rank = context.Get(_rank) };
        return new Work(new OutputFolder("--principal", folder, overwrite, inputs), options);
    }

    /// <summary>A folder to be written after the analysis.</summary>
    internal sealed class Work(OutputFolder target, PrincipalOptions options) : IDisposable
    {
        /// <summary>How much of each update is kept.</summary>
        public PrincipalOptions Options => options;

        /// <summary>Locks the folder for this process, before the work.</summary>
        public void Claim() => target.Claim();

        /// <summary>Writes the checkpoint of an analysis that has run, whole or not at all.</summary>
        /// <exception cref="InputException">A value is too large for the stored type.</exception>
        public PrincipalReport Run(CommandContext context, SpectraAnalysis analysis, Device device)
        {
            IReadOnlyList<PrincipalMatrix> matrices = [];
            target.Fill(folder => matrices = analysis.WritePrincipal(folder, device, context.Cancellation));
            return new PrincipalReport(target.FullPath, options, matrices);
        }

        public void Dispose() => target.Dispose();
    }
}
