using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// A soft prompt that trains beside an adapter of layers, as in MAM adapters (He et al., "Towards a Unified View of
/// Parameter-Efficient Transfer Learning", 2022, arXiv 2110.04366), which join a prefix and a change of the weights.
/// </summary>
public sealed record SoftPrompt
{
    /// <summary>Describes a soft prompt.</summary>
    /// <param name="method">Its method: one that trains virtual tokens.</param>
    /// <param name="options">Its own settings; those of the layers stand with the adapter.</param>
    /// <exception cref="InputException">
    /// The method changes layers, has no such setting, or the options name layers.
    /// </exception>
    public SoftPrompt(AdapterMethod method, AdapterOptions options)
    {
        if (method is not PromptMethod prompt)
        {
            throw new InputException(
                $"soft prompt {method.Name}: it changes layers, expected one of "
                    + string.Join(", ", AdapterMethods.All.OfType<PromptMethod>().Select(known => known.Name))
            );
        }

        options.CheckSettings(method);
        prompt.RequireAlone(options);
        (Prompt, Options) = (prompt, options with { TargetModules = [PromptMethod.Module] });
    }

    /// <summary>The method that makes the virtual tokens.</summary>
    public AdapterMethod Method => Prompt;

    /// <summary>The prompt's own settings.</summary>
    public AdapterOptions Options { get; private init; }

    /// <summary>The number of virtual tokens.</summary>
    public int VirtualTokens => Method.VirtualTokens(Options);

    internal PromptMethod Prompt { get; }

    /// <summary>Returns the prompt with the seed and the start text of the adapter that it stands beside.</summary>
    internal SoftPrompt Beside(AdapterOptions adapter) =>
        this with
        {
            Options = Options with { Seed = adapter.Seed, PromptText = adapter.PromptText ?? Options.PromptText },
        };

    /// <summary>Describes the prompt's only module. Nothing is allocated on a device.</summary>
    /// <param name="model">The config of the model.</param>
    /// <exception cref="InputException">The model classifies, or a setting does not suit it.</exception>
    internal AdaptedModule Describe(ModelConfig model) => Describe(AdapterTargets.Of(model, Method, Options));

    /// <summary>Describes it for a model of which some layers are known.</summary>
    internal AdaptedModule Describe(IReadOnlyList<ModuleShape> layers) =>
        AdaptedModule.Describe(Method, Options, layers)[0];
}
