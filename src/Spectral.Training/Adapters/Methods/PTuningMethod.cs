using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>P-tuning: a network with two hidden layers makes the embeddings of the virtual tokens.</summary>
internal sealed class PTuningMethod : PromptMethod
{
    private const string Encoder = "encoder";
    private const string Hidden = "encoder-hidden";
    private const string TypeKey = "encoder_reparameterization_type";
    private const string Mlp = "MLP";

    public override string Name => "p-tuning";
    public override string Formula =>
        "[MLP(P); E[tokens]] as the model’s input, P of n virtual tokens and the MLP trained";
    public override string Source => "Liu et al., 2021, arXiv 2103.10385, with PEFT’s MLP before the input";
    public override string Use =>
        "As prompt-tuning, with an encoder of two ReLU layers that makes the embeddings in training. Files hold its "
        + "result alone, n · hidden numbers, and training that starts from a file goes on without the encoder. Not a "
        + "change of weights: it cannot be merged.";

    public override bool IsPrefix => false;

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            .. base.Settings,
            AdapterSetting.Choice(Encoder, "What makes the embeddings in training; none: they train.", "mlp", "none"),
            PromptEncoder.Width(Hidden),
        ];

    public override IReadOnlyList<PeftField> PeftFields =>
        [
            .. base.PeftFields,
            new PeftField(TypeKey)
            {
                Read = (fields, options) =>
                    fields.Text(TypeKey) is null or Mlp or "LSTM"
                        ? options
                        : throw fields.Wrong(TypeKey, "MLP or LSTM"),
                Write = (json, _) => json.WriteString(TypeKey, Mlp),
            },
            .. PeftField.Ignored("encoder_num_layers", "encoder_dropout"),
        ];

    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        PromptEncoder.Fit(options, this, Hidden, module.In);

    internal override AdapterOptions AsStored(AdapterOptions options) => options.With(Encoder, 1);

    protected override Expression Build(AdapterBuilder prompt)
    {
        if (prompt.Choice(Encoder) == "none")
            return Plain(prompt, Start.Normal(1));
        int hidden = (int)prompt.Setting(Hidden);
        var encoder = new PromptEncoder(prompt, VirtualTokens(prompt.Options));
        Expression first = encoder.Linear("mlp_head.0", encoder.Embedding(prompt.In), hidden).Max(0);
        Expression second = encoder.Linear("mlp_head.2", first, hidden).Max(0);
        return encoder.Linear("mlp_head.4", second, prompt.Out);
    }
}
