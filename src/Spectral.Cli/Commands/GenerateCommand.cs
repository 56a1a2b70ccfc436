using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Chat;
using Spectral.Training.Data;
using Spectral.Training.Generation;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Planning;
using Spectral.Training.Routing;

namespace Spectral.Cli.Commands;

internal sealed class GenerateCommand : SpectralCommand
{
    private readonly Option<string> _model = OptionTypes.RequiredPath(
        "--model",
        "Model folder in Hugging Face layout.",
        "DIR"
    );
    private readonly AdaptersOption _adapters = new(
        "Adapter to attach, or a folder of experts (spectral merge --method auto-flexswitch), one of which the prompt "
            + "chooses. Given several times, each record of --data names one of them (\"adapter\": the folder's name, "
            + "or NAME) or is for the base, and --prompt is continued by each."
    );
    private readonly Option<string?> _prompt = OptionTypes.OptionalText("--prompt", "Text to continue.", "TEXT");
    private readonly Option<string?> _messages = OptionTypes.Path(
        "--messages",
        "JSON object with messages to answer, and any further variables of the model's chat template; instead of "
            + "--prompt.",
        "FILE"
    );
    private readonly Option<string?> _data = OptionTypes.Path(
        "--data",
        "Records to continue, a file or a folder of files: each with a prompt, or with messages to answer; instead of "
            + "--prompt.",
        "FILE"
    );
    private readonly Option<int> _batch = OptionTypes.Integer(
        "--batch",
        "Records of --data per batch; it changes results only by rounding.",
        8,
        1,
        65536
    );
    private readonly SamplingOptions _sampling = new(maxTokens: 64);
    private readonly QuantizeOption _quantize = new();
    private readonly DeviceOptions _device = new();

    public GenerateCommand()
        : base(
            "generate",
            "Continues a text.",
            "spectral generate --model base-model --adapter adapter --prompt \"Once upon a time\"",
            "spectral generate --model base-model --prompt \"Once\" --temperature 0.8 --top-p 0.95 --seed 7",
            "spectral generate --model base-model --messages chat.json",
            "spectral generate --model base-model --adapter fr=french --adapter law=legal --data mixed.jsonl"
        ) =>
        AddOptions([
            _model,
            _adapters.Option,
            _prompt,
            _messages,
            _data,
            _batch,
            .. _sampling.All,
            .. _quantize.All,
            .. _device.All,
        ]);

    public override void Execute(CommandContext context)
    {
        if (new[] { _prompt, _messages, _data }.Count(option => context.Get(option) is not null) != 1)
            throw new InputException("expected one of --prompt TEXT, --messages FILE and --data FILE");
        if (context.IsGiven(_batch) && context.Get(_data) is null)
            throw new InputException("--batch: expected --data, whose records it is about");
        using var inputs = new ModelInputs(context, context.Get(_model), quantization: _quantize.Read(context));
        GenerationOptions options = _sampling.Read(context, inputs.EndTokens);
        string? single = _adapters.Single(context);
        IReadOnlyList<(string Name, string Directory)>? set = _adapters.Set(context);
        ExpertFolder? experts = inputs.CheckExperts(context, single);
        inputs.CheckSet(context, set ?? []);
        if (experts is not null && context.Get(_data) is not null)
            throw new InputException($"{single}: a folder of experts, expected one adapter with --data");
        Continuation[] all = Prompts(context, inputs, set);
        using Device computing = _device.Open(context);
        DType type = _device.TypeOn(computing, context);
        bool isPlain = experts is null && set is null;
        MemorySavings.Explain(
            context,
            () => isPlain ? (Peak(type), type == DType.F32 ? [("--dtype bf16", Peak(DType.BF16))] : []) : null,
            () => Generate(context, inputs, experts, set, all, options, computing, type)
        );

        Func<long> Peak(DType chosen) =>
            () =>
                MemoryPlanner.Peak(
                    computing,
                    inputs.Folder.Config,
                    chosen,
                    inputs.Folder.Quantization,
                    model =>
                    {
                        using Adapter? attached = single is null ? null : Adapter.Load(model, single);
                        Continue(context, inputs, model, all, options, null);
                    }
                );
    }

    private void Generate(
        CommandContext context,
        ModelInputs inputs,
        ExpertFolder? experts,
        IReadOnlyList<(string Name, string Directory)>? set,
        Continuation[] all,
        GenerationOptions options,
        Device computing,
        DType type
    )
    {
        using CausalLanguageModel loaded = inputs.Load(computing, type);
        using AdapterSet? several = set is null ? null : AdaptersOption.Attach(loaded, set);
        Expert? expert = experts?.Choose(loaded, all[0].Prompt);
        string? adapter = expert?.Directory ?? _adapters.Single(context);
        using Adapter? attached = adapter is not null ? Adapter.Load(loaded, adapter) : null;
        if (set is null && context.Get(_data) is null)
        {
            GeneratedText only = Continue(context, inputs, loaded, all, options, null)[0];
            var result = new JsonObject { ["text"] = only.Text, ["tokens"] = JsonOutput.Array(only.Tokens) };
            if (expert is not null)
                result["expert"] = expert.Name;
            context.Finish(result, terminal => terminal.Line(only.Text));
            return;
        }

        GeneratedText[] texts = context.Terminal.Track(
            "generating",
            all.Length,
            progress => Continue(context, inputs, loaded, all, options, new RecordsDone(progress))
        );
        var records = new JsonArray([
            .. all.Zip(
                texts,
                (asked, generated) =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["adapter"] = asked.Adapter,
                            ["text"] = generated.Text,
                            ["tokens"] = JsonOutput.Array(generated.Tokens),
                        }
            ),
        ]);
        context.Finish(
            new JsonObject { ["records"] = records },
            terminal =>
            {
                for (int i = 0; i < texts.Length; i++)
                {
                    string by = set is null ? "" : $" ({all[i].Adapter ?? "base"})";
                    terminal.Line($"{i + 1}{by}: {texts[i].Text}");
                }
            }
        );
    }

    private GeneratedText[] Continue(
        CommandContext context,
        ModelInputs inputs,
        CausalLanguageModel model,
        Continuation[] all,
        GenerationOptions options,
        IProgress<int>? progress
    ) =>
        TextGenerator.GenerateAll(
            model,
            inputs.Tokenizer,
            Array.ConvertAll(all, each => each.Prompt),
            Array.ConvertAll(all, each => each.Adapter),
            options,
            context.Get(_batch),
            progress,
            context.Cancellation
        );

    /// <summary>Returns what is to be continued: one prompt by each of several adapters, or the records.</summary>
    private Continuation[] Prompts(
        CommandContext context,
        ModelInputs inputs,
        IReadOnlyList<(string Name, string Directory)>? set
    )
    {
        string[]? names = set?.Select(adapter => adapter.Name).ToArray();
        if (context.Get(_data) is { } data)
        {
            return
            [
                .. RecordReader
                    .LoadPrompts(data)
                    .Select(record =>
                    {
                        ModelInputs.RequireKnown(names, record.Adapter, record.Place);
                        int[] tokens = record.Chat is { } chat
                            ? Encode(inputs, chat)
                            : inputs.Tokenizer.EncodePrompt(record.Prompt!);
                        if (tokens.Length == 0)
                            throw new InputException($"{record.Place}: the prompt has no tokens");
                        return new Continuation(tokens, names is null ? null : record.Adapter);
                    }),
            ];
        }

        int[] prompt = context.Get(_messages) is { } file
            ? Encode(inputs, Conversation.Load(file))
            : inputs.Tokenizer.EncodePrompt(context.Get(_prompt)!);
        return names is null
            ? [new Continuation(prompt, null)]
            : Array.ConvertAll(names, name => new Continuation(prompt, name));
    }

    // A template writes the begin token itself, if there is to be one.
    private static int[] Encode(ModelInputs inputs, Conversation conversation)
    {
        bool goesOn = conversation.IsContinued;
        string text = ChatFormat
            .Load(inputs.Folder.Directory)
            .Render(conversation, addGenerationPrompt: goesOn ? null : true)
            .Text;
        return inputs.Tokenizer.Encode(text, addSpecialTokens: false);
    }

    /// <summary>A prompt and the adapter that continues it; null: the base, or the only one.</summary>
    private readonly record struct Continuation(int[] Prompt, string? Adapter);
}
