using System.Globalization;
using System.Text.RegularExpressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// TAP-SLF: virtual tokens of the task before the input, and LoRA on the last decoder layers alone.
/// </summary>
internal sealed partial class TapSlfMethod : AdapterMethod
{
    private const string Last = "layers";
    private const string Tokens = "virtual-tokens";
    private const string Init = "init";

    public override string Name => "tap-slf";
    public override string Formula =>
        "W + (alpha/rank)·B·A in the last k decoder layers, and [P; E[tokens]] as the model’s input";
    public override string Source => "Wan and Lan, 2026, arXiv 2603.00433";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Low layers stay as they are, and the prompt tells them the task. Files have the virtual tokens beside a plain "
        + "LoRA; merging and exporting take the LoRA alone. As the prompt trains, backward passes all layers.";
    public override string PeftType => AdapterConfig.Lora;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Last, 0, 0, 100_000, "Number k of decoder layers with LoRA; 0: half of the model."),
        AdapterSetting.Whole(Tokens, 20, 1, 65536, "Number of virtual tokens."),
        AdapterSetting.Choice(Init, "Start values of the virtual tokens, as of prompt-tuning.", [.. Starts]),
    ];

    private static AdapterMethod Prompt => AdapterMethods.Find("prompt-tuning");

    private static IReadOnlyList<string> Starts => new PromptTuningMethod().Settings[^1].Choices;

    public override AdapterForm Form(AdapterBuilder layer) => new() { Terms = [LoraMethod.Term(layer, layer.Rank)] };

    /// <summary>Leaves out the layers below the last ones. Targets outside the decoder layers stay.</summary>
    public override IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    )
    {
        int depth = modules.Max(module => Depth(module.Name)) + 1;
        int count = (int)options.Setting(this, Last);
        if (depth > 0 && count > depth)
            throw new InputException($"setting {Last}={count}: the targets lie in {depth} layers");
        int first = depth - (count > 0 ? count : Math.Max(1, (int)Math.Round(0.5 * depth)));
        return
        [
            .. modules.Select(module =>
                Depth(module.Name) is >= 0 and var at && at < first ? null : options.For(module.Name)
            ),
        ];
    }

    internal override SoftPrompt? PromptBeside(AdapterOptions options) =>
        base.PromptBeside(options)
        ?? new SoftPrompt(
            Prompt,
            new AdapterOptions
            {
                Settings = new Dictionary<string, double>
                {
                    [Tokens] = options.Setting(this, Tokens),
                    [Init] = options.Setting(this, Init),
                },
            }
        ).Beside(options);

    /// <summary>Returns the number of a layer's block; −1: it is in none.</summary>
    private static int Depth(string module) =>
        Number().Match(module) is { Success: true } match ? int.Parse(match.Value, CultureInfo.InvariantCulture) : -1;

    /// <summary>The number of a block in a layer's name.</summary>
    [GeneratedRegex(@"(?<=\.)\d{1,9}(?=\.)")]
    private static partial Regex Number();
}
