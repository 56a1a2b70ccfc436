using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// Describes a kind of soft prompt: virtual tokens before the input, which train while every layer stays as it is. To
/// the core it is an adapter of one module, <see cref="Module"/>, that no layer of the model is.
/// </summary>
internal abstract class PromptMethod : AdapterMethod
{
    /// <summary>The name of the only module, after PEFT's.</summary>
    public const string Module = "prompt_encoder";

    /// <summary>The name of the only tensor in PEFT's files, which has no module before it.</summary>
    public const string TensorName = "prompt_embeddings";

    private const string Tokens = "virtual-tokens";

    /// <summary>
    /// Whether the tokens are the keys and values of every layer, [n, L·2·KV·hd]; otherwise they are embeddings,
    /// [n, D].
    /// </summary>
    public abstract bool IsPrefix { get; }

    /// <inheritdoc/>
    public sealed override bool StartsAtBase => false;

    /// <inheritdoc/>
    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [AdapterSetting.Whole(Tokens, 20, 1, 65536, "Number n of virtual tokens.") with { PeftKey = "num_virtual_tokens" }];

    /// <inheritdoc/>
    public override IReadOnlyList<PeftField> PeftFields { get; } = [.. PeftField.Ignored(PromptFields.Keys)];

    /// <inheritdoc/>
    public override int VirtualTokens(AdapterOptions options) => (int)options.Setting(this, Tokens);

    /// <inheritdoc/>
    internal sealed override SoftPrompt? PromptBeside(AdapterOptions options) => null;

    /// <summary>
    /// Returns the settings with which the tensor of a file is read. Files hold the tokens alone, not the network that
    /// computed them in training.
    /// </summary>
    internal virtual AdapterOptions AsStored(AdapterOptions options) => options;

    /// <summary>Declares the factors and returns the tokens that they make, one per row.</summary>
    /// <param name="prompt">The only module: In is D, Out the number of columns.</param>
    protected abstract Expression Build(AdapterBuilder prompt);

    /// <inheritdoc/>
    public sealed override AdapterForm Form(AdapterBuilder layer) => new() { VirtualTokens = Build(layer) };

    /// <summary>Declares the tokens themselves as the only factor, as files hold them.</summary>
    /// <param name="prompt">The only module.</param>
    /// <param name="start">The start values.</param>
    protected Factor Plain(AdapterBuilder prompt, Start start) =>
        prompt.Trained(TensorName, (VirtualTokens(prompt.Options), prompt.Out), start);

    /// <summary>Returns the only module of a model.</summary>
    public ModuleShape ModuleOf(PromptSizes sizes) =>
        new(Module, IsPrefix ? sizes.PrefixWidth : sizes.Hidden, sizes.Hidden) { Prompt = sizes };

    /// <summary>
    /// Returns the only module of a model of which some layers are known. Without its config it is taken for one of a
    /// single layer, whose keys are as wide as the outputs.
    /// </summary>
    public ModuleShape ModuleOf(IReadOnlyList<ModuleShape> layers) =>
        ModuleOf(layers[0].Prompt ?? new PromptSizes(layers[0].In, 1, 1, 1, layers[0].Out));

    /// <summary>Checks that the options leave every weight of the model as it is.</summary>
    /// <exception cref="InputException">An option names layers to change.</exception>
    public void RequireAlone(AdapterOptions options)
    {
        if (
            !options.TargetModules.SequenceEqual(AdapterOptions.AllProjections) && options.TargetModules is not [Module]
        )
        {
            Refuse("target modules", options.TargetModules);
        }

        if (options.ModulesToSave.Count > 0)
            Refuse("modules to train whole", options.ModulesToSave);
        if (options.TrainableTokens.Count > 0)
            Refuse("trainable tokens of", options.TrainableTokens.Select(pair => pair.Key));
        if (options.SoftPrompt is { } other)
            Refuse("soft prompt", [other.Method.Name]);
        if (options.RankPattern.Count > 0 || options.AlphaPattern.Count > 0)
        {
            Refuse(
                "patterns of",
                options.RankPattern.Select(p => p.Key).Concat(options.AlphaPattern.Select(p => p.Key))
            );
        }

        void Refuse(string what, IEnumerable<string> names) =>
            throw new InputException(
                $"{what} {string.Join(", ", names)}: {Name} trains virtual tokens and changes no layer, expected none"
            );
    }
}
