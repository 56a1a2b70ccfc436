using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Cli.Options;

/// <summary>--requantize and --double-requantize of a command that writes a model folder.</summary>
internal sealed class RequantizeOption
{
    private const string None = "none";

    private readonly Option<string> _format = OptionTypes.Choice(
        "--requantize",
        "Quantise the linear layers of the result, and print the error: nf4 and fp4 as bitsandbytes stores them, fp8 "
            + "as DeepSeek does, int8 as compressed-tensors does.",
        None,
        None,
        "nf4",
        "fp4",
        "fp8",
        "int8"
    );

    private readonly Option<bool> _double = OptionTypes.Flag(
        "--double-requantize",
        "Quantise the scales of --requantize nf4 or fp4 too."
    );

    public Option[] All => [_format, _double];

    /// <summary>Makes what quantises the result; null: it is not quantised.</summary>
    /// <exception cref="InputException">The model's weights cannot be written so.</exception>
    public QuantizedOutput? Open(CommandContext context, ModelFolder model, Device device) =>
        Read(context) is { } format ? new QuantizedOutput(model, device, format, context.Get(_double)) : null;

    /// <summary>Returns the format that is given; null: none is.</summary>
    /// <exception cref="InputException">--double-requantize stands without a format that it applies to.</exception>
    public WeightFormat? Read(CommandContext context)
    {
        string format = context.Get(_format);
        if (context.Get(_double) && format is not ("nf4" or "fp4"))
            throw new InputException($"--double-requantize: expected --requantize nf4 or fp4 with it, not {format}");
        return format == None ? null : Enum.Parse<WeightFormat>(format, ignoreCase: true);
    }
}
