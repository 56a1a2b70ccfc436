using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Options;

/// <summary>A format of quantised weights, with an option to quantise their scales too.</summary>
internal sealed class QuantizeOption
{
    private const string None = "none";

    private readonly Option<string> _format;
    private readonly Option<bool> _double;

    /// <summary>--quantize and --double-quantize: keeps the base's linear layers in a few bits per weight.</summary>
    public QuantizeOption()
        : this(
            "--quantize",
            "Keep the frozen linear layers of the blocks in 4 bits per weight (nf4, fp4: a scale per 64 weights) or 8 "
                + "(fp8: one per 128 x 128 tile, int8: one per output). A model that is stored quantised needs no "
                + "option.",
            "--double-quantize",
            "Keep the scales of nf4 and fp4 in 8 bits too, which saves 0.37 bits per weight."
        ) { }

    private QuantizeOption(string format, string help, string scales, string scalesHelp)
    {
        _format = OptionTypes.Choice(format, help, None, None, "nf4", "fp4", "fp8", "int8");
        _double = OptionTypes.Flag(scales, scalesHelp);
    }

    public Option[] All => [_format, _double];

    /// <summary>--requantize and --double-requantize of a command that writes a model folder.</summary>
    public static QuantizeOption OfResult() =>
        new(
            "--requantize",
            "Quantise the linear layers of the result, and print the error: nf4 and fp4 as bitsandbytes stores them, "
                + "fp8 as DeepSeek does, int8 as compressed-tensors does.",
            "--double-requantize",
            "Quantise the scales of --requantize nf4 or fp4 too."
        );

    /// <summary>Returns what is given; null: no format is.</summary>
    /// <exception cref="InputException">Scales are to be quantised without a format that has some to.</exception>
    public BaseQuantization? Read(CommandContext context)
    {
        string format = context.Get(_format);
        bool isDouble = context.Get(_double);
        if (isDouble && format is not ("nf4" or "fp4"))
            throw new InputException($"{_double.Name}: expected {_format.Name} nf4 or fp4 with it, not {format}");
        return format == None
            ? null
            : new BaseQuantization(Enum.Parse<WeightFormat>(format, ignoreCase: true), isDouble);
    }
}
