using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>
/// --dtype of a command that writes tensors: their type in the file. The command computes in F32.
/// </summary>
/// <param name="auto">What auto does, for the help text.</param>
internal sealed class ResultTypeOption(string auto)
{
    private const string Auto = "auto";

    public Option<string> Option { get; } =
        OptionTypes.Choice(
            "--dtype",
            $"Type of the tensors in the result; auto {auto}.",
            Auto,
            Auto,
            "f32",
            "bf16",
            "f16"
        );

    /// <summary>Returns the type that is given; null for auto.</summary>
    public StoredType? Read(CommandContext context) =>
        context.Get(Option) is not Auto and var name ? Enum.Parse<StoredType>(name, ignoreCase: true) : null;
}
