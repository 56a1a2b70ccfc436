using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Output;
using Spectral.Kernels.Quantization;
using Spectral.Training.Merging;

namespace Spectral.Cli.Merging;

/// <summary>What <c>--requantize</c> has rounded.</summary>
/// <param name="Format">The format of the codes.</param>
/// <param name="Weights">The number of weights.</param>
/// <param name="Error">‖W − Q‖ / ‖W‖ over all of them.</param>
internal sealed record RoundedWeights(WeightFormat Format, int Weights, double Error)
{
    /// <summary>Returns what an output has rounded once it is written; null: there is none.</summary>
    public static RoundedWeights? Of(QuantizedOutput? output) =>
        output is null ? null : new RoundedWeights(output.Format, output.Count, output.RelativeError);

    /// <summary>Adds to the command's JSON object.</summary>
    public void Describe(JsonObject result)
    {
        result["requantized"] = Weights;
        result["error"] = JsonOutput.Number(Error);
    }

    public void Print(Terminal terminal) =>
        terminal.Line(
            string.Create(
                CultureInfo.InvariantCulture,
                $"rounded {Weights} weights to {Format.Name()}: relative error {Error:G4}"
            )
        );
}
