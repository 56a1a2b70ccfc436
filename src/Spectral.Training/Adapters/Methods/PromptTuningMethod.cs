using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>Prompt tuning: the embeddings of the virtual tokens are the factor itself.</summary>
internal sealed class PromptTuningMethod : PromptMethod
{
    private const string Random = "random";
    private const string Vocabulary = "vocab";
    private const string Text = "text";
    private const string InitKey = "prompt_tuning_init";
    private const string TextKey = "prompt_tuning_init_text";

    // PEFT's names of the starts, in the order of the setting's choices.
    private static readonly string[] PeftStarts = ["RANDOM", "SAMPLE_VOCAB", "TEXT"];

    private static readonly AdapterSetting Init = AdapterSetting.Choice(
        "init",
        "Start values: N(0, 1), embeddings of random tokens of the vocabulary, or those of a text (--prompt-text).",
        Random,
        Vocabulary,
        Text
    );

    public override string Name => "prompt-tuning";
    public override string Formula => "[P; E[tokens]] as the model’s input, P of n virtual tokens trained";
    public override string Source => "Lester, Al-Rfou and Constant, 2021, arXiv 2104.08691";
    public override string Use =>
        "n · hidden numbers for the whole model, no layer changed: the virtual tokens take the first n positions, so "
        + "that every sequence is n longer. Random starts are far from real embeddings; those from a text or from the "
        + "vocabulary are among them. Not a change of weights: it cannot be merged.";

    public override bool IsPrefix => false;

    public override IReadOnlyList<AdapterSetting> Settings => [.. base.Settings, Init];

    public override IReadOnlyList<PeftField> PeftFields =>
        [
            .. base.PeftFields,
            new PeftField(InitKey)
            {
                Read = ReadInit,
                Write = (json, options) => json.WriteString(InitKey, PeftStarts[(int)options.Setting(this, Init.Name)]),
            },
            new PeftField(TextKey)
            {
                Write = (json, options) =>
                {
                    if (options.PromptText is { } text)
                        json.WriteString(TextKey, text.Text);
                },
            },
            .. PeftField.Ignored(PromptFields.Tokenizer, "tokenizer_kwargs"),
        ];

    protected override Expression Build(AdapterBuilder prompt)
    {
        string init = prompt.Choice(Init.Name);
        if ((prompt.Options.PromptText is null) == (init == Text))
        {
            throw new InputException(
                init == Text
                    ? $"setting {Init.Name}={Text}: expected --prompt-text with the text to start from"
                    : $"setting {Init.Name}={init}: it reads no text; expected {Text}, or no --prompt-text"
            );
        }

        return Plain(prompt, init == Random ? Start.Normal(1) : Start.Zeros);
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            int[]? tokens = Init.Describe(start.Options.Setting(this, Init.Name)) switch
            {
                Vocabulary => Drawn(start),
                Text => Repeated(start),
                _ => null,
            };
            if (tokens is null)
                continue;
            using var index = Tensor.From(start.Device, tokens, tokens.Length);
            using var rows = Tensor.Empty(start.Device, start[TensorName].Shape, start.Weight.DType);
            Rows.Gather(start.Weight, index, rows);
            Scale.Run(rows, start.TokenScale);
            Cast.Run(rows, start[TensorName]);
        }
    }

    private AdapterOptions ReadInit(JsonFields fields, AdapterOptions options)
    {
        string name = fields.Text(InitKey) ?? PeftStarts[0];
        int start = Array.IndexOf(PeftStarts, name);
        if (start < 0)
            throw fields.Wrong(InitKey, string.Join(", ", PeftStarts));
        options = start == 0 ? options : options.With(Init.Name, start);
        return PeftStarts[start] == "TEXT"
            ? options with
            {
                PromptText = new PromptText(fields.Text(TextKey) ?? "", []),
            }
            : options;
    }

    private int[] Drawn(AdapterStart start)
    {
        (ulong stream, int vocabulary) = (start.Options.Seed ^ start.Stream(Init.Name), start.Weight.Dim(0));
        return
        [
            .. Enumerable
                .Range(0, VirtualTokens(start.Options))
                .Select(i => (int)(SplitMix64.Uniform(stream, (ulong)i) * vocabulary)),
        ];
    }

    private int[] Repeated(AdapterStart start)
    {
        IReadOnlyList<int> text = start.Options.PromptText!.Tokens;
        if (text.Count == 0)
            throw new InputException("--prompt-text: the text has no tokens, expected one or more");
        return [.. Enumerable.Range(0, VirtualTokens(start.Options)).Select(i => text[i % text.Count])];
    }
}
