using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Memory;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Chat;
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
    private readonly Option<string?> _adapter = OptionTypes.Path(
        "--adapter",
        "Adapter to attach, or a folder of experts (spectral merge --method auto-flexswitch), one of which the prompt "
            + "chooses.",
        "DIR"
    );
    private readonly Option<string?> _prompt = OptionTypes.OptionalText("--prompt", "Text to continue.", "TEXT");
    private readonly Option<string?> _messages = OptionTypes.Path(
        "--messages",
        "JSON object with messages to answer, and any further variables of the model's chat template; instead of "
            + "--prompt.",
        "FILE"
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
            "spectral generate --model base-model --messages chat.json"
        ) => AddOptions([_model, _adapter, _prompt, _messages, .. _sampling.All, .. _quantize.All, .. _device.All]);

    public override void Execute(CommandContext context)
    {
        if (context.Get(_prompt) is null == context.Get(_messages) is null)
            throw new InputException("expected one of --prompt TEXT and --messages FILE");
        using var inputs = new ModelInputs(context, context.Get(_model), quantization: _quantize.Read(context));
        GenerationOptions options = _sampling.Read(context, inputs.EndTokens);
        int[] prompt = Prompt(context, inputs);
        ExpertFolder? experts = inputs.CheckExperts(context, context.Get(_adapter));
        using Device computing = _device.Open(context);
        DType type = _device.TypeOn(computing, context);
        MemorySavings.Explain(
            context,
            () => experts is null ? (Peak(type), type == DType.F32 ? [("--dtype bf16", Peak(DType.BF16))] : []) : null,
            () => Generate(context, inputs, experts, prompt, options, computing, type)
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
                        using Adapter? attached = context.Get(_adapter) is { } folder
                            ? Adapter.Load(model, folder)
                            : null;
                        TextGenerator.Generate(model, inputs.Tokenizer, prompt, options);
                    }
                );
    }

    private void Generate(
        CommandContext context,
        ModelInputs inputs,
        ExpertFolder? experts,
        int[] prompt,
        GenerationOptions options,
        Device computing,
        DType type
    )
    {
        using CausalLanguageModel loaded = inputs.Load(computing, type);
        Expert? expert = experts?.Choose(loaded, prompt);
        string? adapter = expert?.Directory ?? context.Get(_adapter);
        using Adapter? attached = adapter is not null ? Adapter.Load(loaded, adapter) : null;
        GeneratedText generated = TextGenerator.Generate(
            loaded,
            inputs.Tokenizer,
            prompt,
            options,
            context.Cancellation
        );
        var result = new JsonObject { ["text"] = generated.Text, ["tokens"] = JsonOutput.Array(generated.Tokens) };
        if (expert is not null)
            result["expert"] = expert.Name;
        context.Finish(result, terminal => terminal.Line(generated.Text));
    }

    // A template writes the begin token itself, if there is to be one.
    private int[] Prompt(CommandContext context, ModelInputs inputs)
    {
        if (context.Get(_messages) is not { } file)
            return inputs.Tokenizer.EncodePrompt(context.Get(_prompt)!);
        var conversation = Conversation.Load(file);
        bool goesOn = conversation.IsContinued;
        string text = ChatFormat
            .Load(inputs.Folder.Directory)
            .Render(conversation, addGenerationPrompt: goesOn ? null : true)
            .Text;
        return inputs.Tokenizer.Encode(text, addSpecialTokens: false);
    }
}
