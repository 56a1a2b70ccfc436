using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Generation;
using Spectral.Training.IO;
using Spectral.Training.Models;
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
    private readonly Option<string> _prompt = OptionTypes.RequiredText("--prompt", "Text to continue.");
    private readonly Option<int> _maxTokens = OptionTypes.Integer(
        "--max-tokens",
        "Maximum number of tokens to generate.",
        64,
        1,
        1 << 20
    );
    private readonly Option<double> _temperature = OptionTypes.Number(
        "--temperature",
        "Sampling temperature; 0 always takes the most probable token.",
        0,
        x => x >= 0,
        "a number of at least 0"
    );
    private readonly Option<double> _topP = OptionTypes.Number(
        "--top-p",
        "Sample from the most probable tokens whose probabilities add up to this value.",
        1,
        x => x is > 0 and <= 1,
        "a number above 0 and at most 1"
    );
    private readonly Option<ulong> _seed = OptionTypes.Seed("Random seed for sampling.");
    private readonly DeviceOptions _device = new();

    public GenerateCommand()
        : base(
            "generate",
            "Continues a text.",
            "spectral generate --model base-model --adapter adapter --prompt \"Once upon a time\"",
            "spectral generate --model base-model --prompt \"Once\" --temperature 0.8 --top-p 0.95 --seed 7"
        ) => AddOptions([_model, _adapter, _prompt, _maxTokens, _temperature, _topP, _seed, .. _device.All]);

    public override void Execute(CommandContext context)
    {
        if (context.Get(_temperature) == 0 && context.IsGiven(_topP))
        {
            throw new InputException(
                $"--top-p {context.Text(_topP)}: nothing is sampled without --temperature; expected one above 0"
            );
        }

        if (context.Get(_temperature) == 0 && context.IsGiven(_seed))
        {
            context.Terminal.Warn(
                $"--seed {context.Text(_seed)} changes nothing: without --temperature nothing is sampled"
            );
        }

        using var inputs = new ModelInputs(context, context.Get(_model));
        ExpertFolder? experts = inputs.CheckExperts(context, context.Get(_adapter));
        using Device computing = _device.Open(context);
        using CausalLanguageModel loaded = inputs.Load(computing, _device.TypeOn(computing, context));
        Expert? expert = experts?.Choose(loaded, inputs.Tokenizer.EncodePrompt(context.Get(_prompt)));
        string? adapter = expert?.Directory ?? context.Get(_adapter);
        using Adapter? attached = adapter is not null ? Adapter.Load(loaded, adapter) : null;
        GeneratedText generated = TextGenerator.Generate(
            loaded,
            inputs.Tokenizer,
            context.Get(_prompt),
            new GenerationOptions
            {
                MaxTokens = context.Get(_maxTokens),
                EndTokenIds = inputs.EndTokens,
                Temperature = context.Get(_temperature),
                TopP = context.Get(_topP),
                Seed = context.Get(_seed),
            },
            context.Cancellation
        );
        var result = new JsonObject { ["text"] = generated.Text, ["tokens"] = JsonOutput.Array(generated.Tokens) };
        if (expert is not null)
            result["expert"] = expert.Name;
        context.Finish(result, terminal => terminal.Line(generated.Text));
    }
}
