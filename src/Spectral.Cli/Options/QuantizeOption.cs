using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Options;

/// <summary>--quantize and --double-quantize: keeps the base's linear layers in a few bits per weight.</summary>
internal sealed class QuantizeOption
{
    private const string None = "none";

    private readonly Option<string> _format = OptionTypes.Choice(
        "--quantize",
        "Keep the frozen linear layers of the blocks in 4 bits per weight (nf4, fp4: a scale per 64 weights) or 8 "
            + "(fp8: one per 128 x 128 tile, int8: one per output). A model that is stored quantised needs no option.",
        None,
        None,
        "nf4",
        "fp4",
        "fp8",
        "int8"
    );

    private readonly Option<bool> _double = OptionTypes.Flag(
        "--double-quantize",
        "Keep the scales of nf4 and fp4 in 8 bits too, which saves 0.37 bits per weight."
    );

    public Option[] All => [_format, _double];

    /// <summary>Returns what is given; null: the layers are kept as they are stored.</summary>
    /// <exception cref="InputException">--double-quantize stands without a format that it applies to.</exception>
    public BaseQuantization? Read(CommandContext context)
    {
        string format = context.Get(_format);
        bool isDouble = context.Get(_double);
        if (isDouble && format is not ("nf4" or "fp4"))
            throw new InputException($"--double-quantize: expected --quantize nf4 or fp4 with it, not {format}");
        return format == None
            ? null
            : new BaseQuantization(Enum.Parse<WeightFormat>(format, ignoreCase: true), isDouble);
    }
}
