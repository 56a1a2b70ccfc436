using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Options;

/// <summary>--ablate: directions that training takes out of the hidden states.</summary>
internal sealed class AblationOption
{
    public Option<string?> Option { get; } =
        OptionTypes.Path(
            "--ablate",
            "Directions that training takes out of the hidden states after blocks, so that nothing is learned through "
                + "them (CAFT): a safetensors file with a tensor [k, hidden] for each block, named like the block, "
                + "such as model.layers.3. The trained model keeps these directions.",
            "FILE"
        );

    /// <summary>Reads the directions for a model, for its <see cref="CausalLanguageModel.Ablation"/>.</summary>
    /// <returns>The directions, which the caller disposes; null without the option.</returns>
    /// <exception cref="InputException">The file does not suit the model.</exception>
    public DirectionAblation? Load(CommandContext context, CausalLanguageModel model) =>
        context.Get(Option) is { } file ? DirectionAblation.Load(file, model) : null;
}
