using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Prefix tuning: the keys and values of the virtual tokens in every layer are the factor itself (P-tuning v2), or made
/// from one embedding per token by a network with one hidden layer (Li and Liang).
/// </summary>
internal sealed class PrefixTuningMethod : PromptMethod
{
    private const string Projection = "projection";
    private const string Hidden = "encoder-hidden";
    private const string InitKey = "init_weights";

    private static readonly AdapterSetting Init = AdapterSetting.Choice(
        "init",
        "Start values: N(0, 1) as in PEFT, or zeros. With a projection, those of its last layer.",
        "random",
        "zero"
    );

    public override string Name => "prefix-tuning";
    public override string Formula =>
        "softmax(q·[K_P; K]ᵀ/√hd)·[V_P; V] in every layer, K_P and V_P of n virtual tokens";
    public override string Source => "Li and Liang, 2021, arXiv 2101.00190";
    public override string Use =>
        "2 · n · layers · key width numbers, no layer changed: each layer attends to n trained keys and values before "
        + "those of the input. Without a projection it is P-tuning v2 (arXiv 2110.07602). Keys are used as given, "
        + "without RoPE. Every sequence is n longer. Not a change of weights: it cannot be merged.";

    public override bool IsPrefix => true;

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            .. base.Settings,
            AdapterSetting.Switch(Projection, false, "Whether a network makes the prefix in training.") with
            {
                PeftKey = "prefix_projection",
            },
            PromptEncoder.Width(Hidden),
            Init,
        ];

    public override IReadOnlyList<PeftField> PeftFields =>
        [
            .. base.PeftFields,
            new PeftField(InitKey)
            {
                Read = (fields, options) =>
                    fields.Text(InitKey) switch
                    {
                        null => options,
                        "zero" => options.With(Init.Name, 1),
                        _ => throw fields.Wrong(InitKey, "zero, or none"),
                    },
                // Older versions of PEFT do not know the key.
                Write = (json, options) =>
                {
                    if (options.Setting(this, Init.Name) == 1)
                        json.WriteString(InitKey, "zero");
                },
            },
        ];

    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        PromptEncoder.Fit(options, this, Hidden, module.Prompt!.KeyWidth);

    internal override AdapterOptions AsStored(AdapterOptions options) => options.With(Projection, 0);

    protected override Expression Build(AdapterBuilder prompt)
    {
        bool isZero = prompt.Choice(Init.Name) == "zero";
        if (!prompt.IsOn(Projection))
            return Plain(prompt, isZero ? Start.Zeros : Start.Normal(1));
        int width = prompt.Module.Prompt!.KeyWidth;
        int hidden = (int)prompt.Setting(Hidden);
        var encoder = new PromptEncoder(prompt, VirtualTokens(prompt.Options));
        Expression inner = PromptEncoder.Tanh(encoder.Linear("transform.0", encoder.Embedding(width), hidden));
        return encoder.Linear("transform.2", inner, prompt.Out, isZero);
    }
}
