using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Cli.Spectra;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Commands;

/// <summary>--mitigate of <c>analyze</c>: a checkpoint whose intruder dimensions are scaled down.</summary>
internal sealed class AnalyzeMitigation
{
    private static readonly MitigationOptions Defaults = new();

    private readonly Option<string?> _folder = OptionTypes.Path(
        "--mitigate",
        "Also write the tuned model with its intruder dimensions scaled down, to this folder. Searches all base "
            + "vectors, so large matrices need --svd exact.",
        "DIR"
    );
    private readonly Option<double> _factor = OptionTypes.Number(
        "--mitigate-factor",
        "Factor on the singular values of intruders; 0 removes them.",
        Defaults.Factor,
        value => value is >= 0 and <= 1,
        "a number from 0 to 1"
    );
    private readonly Option<double> _threshold = OptionTypes.Number(
        "--mitigate-below",
        "A left vector is an intruder if its |cos| to every left base vector is below this.",
        Defaults.Threshold,
        value => value is > 0 and <= 1,
        "a number above 0, up to 1"
    );
    private readonly Option<int> _searched = OptionTypes.Integer(
        "--mitigate-first",
        "Number of leading tuned vectors among which intruders are sought.",
        Defaults.Searched,
        1,
        65536
    );

    public Option[] All => [_folder, _factor, _threshold, _searched];

    /// <summary>Checks the folder to write; null without --mitigate.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="overwrite">Whether the folder may have files in it.</param>
    /// <param name="inputs">The folders that the command reads.</param>
    /// <exception cref="InputException">
    /// The folder may not be written to, or one of the other options is given without --mitigate.
    /// </exception>
    public Work? Prepare(CommandContext context, bool overwrite, params ReadOnlySpan<string?> inputs)
    {
        if (context.Get(_folder) is not { } folder)
        {
            context.RefuseWithout("--mitigate DIR", _factor, _threshold, _searched);
            return null;
        }

        var options = new MitigationOptions
        {
            Factor = context.Get(_factor),
            Threshold = context.Get(_threshold),
            Searched = context.Get(_searched),
        };
        return new Work(new OutputFolder("--mitigate", folder, overwrite, inputs), options);
    }

    /// <summary>A folder to be written after the analysis.</summary>
    internal sealed class Work(OutputFolder target, MitigationOptions options) : IDisposable
    {
        /// <summary>Which vectors are scaled, and the factor.</summary>
        public MitigationOptions Options => options;

        /// <summary>Locks the folder for this process, before the work.</summary>
        public void Claim() => target.Claim();

        /// <summary>Writes the checkpoint of an analysis that has run, whole or not at all.</summary>
        /// <exception cref="InputException">A value is too large for the stored type.</exception>
        public MitigationReport Run(CommandContext context, SpectraAnalysis analysis, Device device)
        {
            IReadOnlyList<MitigatedMatrix> matrices = [];
            target.Fill(folder => matrices = analysis.WriteMitigated(folder, device, context.Cancellation));
            return new MitigationReport(
                target.FullPath,
                options,
                matrices.Sum(matrix => matrix.Positions.Length),
                matrices
            );
        }

        public void Dispose() => target.Dispose();
    }
}
