using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Gguf;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>
/// --dtype of a command that writes tensors: their type in the file. The command computes in F32.
/// </summary>
/// <param name="auto">What auto does, for the help text.</param>
/// <param name="more">Types that only some formats of the result have.</param>
internal sealed class ResultTypeOption(string auto, params string[] more)
{
    /// <summary>The name of ggml's blocks of 32 bytes, which GGUF alone has.</summary>
    public const string Blocks = "q8_0";

    private const string Auto = "auto";

    public Option<string> Option { get; } =
        OptionTypes.Choice(
            "--dtype",
            $"Type of the tensors in the result; auto {auto}.",
            Auto,
            [Auto, "f32", "bf16", "f16", .. more]
        );

    /// <summary>Returns the type that is given; null for auto.</summary>
    /// <exception cref="InputException">The type is one of GGUF alone.</exception>
    public StoredType? Read(CommandContext context) =>
        context.Get(Option) switch
        {
            Auto => null,
            Blocks => throw new InputException($"--dtype \"{Blocks}\": expected --format gguf with it"),
            var name => Enum.Parse<StoredType>(name, ignoreCase: true),
        };

    /// <summary>Returns the type that is given for the matrices of a GGUF file; null for auto.</summary>
    public GgufType? ReadGguf(CommandContext context) =>
        context.Get(Option) switch
        {
            Auto => null,
            Blocks => GgufType.Q8,
            var name => Enum.Parse<GgufType>(name, ignoreCase: true),
        };
}
