using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Chat;
using Spectral.Training.Generation;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

internal sealed class ChatCommand : SpectralCommand
{
    private readonly Option<string> _model = OptionTypes.RequiredPath(
        "--model",
        "Model folder in Hugging Face layout, with a chat template.",
        "DIR"
    );
    private readonly Option<string?> _adapter = OptionTypes.Path("--adapter", "Adapter to attach.", "DIR");
    private readonly Option<string?> _system = OptionTypes.OptionalText(
        "--system",
        "Message of the system before the conversation.",
        "TEXT"
    );
    private readonly SamplingOptions _sampling = new(maxTokens: 512);
    private readonly QuantizeOption _quantize = new();
    private readonly DeviceOptions _device = new();

    public ChatCommand()
        : base(
            "chat",
            "Talks with a model in the terminal: each line is a message, an empty one ends.",
            "spectral chat --model base-model --adapter adapter --temperature 0.7"
        ) => AddOptions([_model, _adapter, _system, .. _sampling.All, .. _quantize.All, .. _device.All]);

    public override void Execute(CommandContext context)
    {
        using var inputs = new ModelInputs(context, context.Get(_model), quantization: _quantize.Read(context));
        var format = ChatFormat.Load(context.Get(_model));
        GenerationOptions options = _sampling.Read(context, inputs.EndTokens);
        inputs.CheckAdapter(context, context.Get(_adapter));
        using Device computing = _device.Open(context);
        using CausalLanguageModel loaded = inputs.Load(computing, _device.TypeOn(computing, context));
        using Adapter? attached = context.Get(_adapter) is { } folder ? Adapter.Load(loaded, folder) : null;
        List<(string Role, string Content)> messages = [];
        if (context.Get(_system) is { } system)
            messages.Add(("system", system));
        while (ReadLine(context) is { Length: > 0 } line)
        {
            messages.Add(("user", line));
            string prompt = format.Render(Conversation.Of(messages), addGenerationPrompt: true).Text;
            int[] tokens = inputs.Tokenizer.Encode(prompt, addSpecialTokens: false);
            StreamedText stream = new(inputs.Tokenizer, tokens);
            string answer = "";
            TextGenerator.Generate(
                loaded,
                tokens,
                options with
                {
                    OnToken = token =>
                    {
                        string added = stream.Add(token);
                        answer += added;
                        context.Terminal.Write(added);
                    },
                },
                context.Cancellation
            );
            context.Terminal.Line("");
            messages.Add(("assistant", answer));
        }
        IEnumerable<JsonNode> all = messages.Select(message =>
            (JsonNode)new JsonObject { ["role"] = message.Role, ["content"] = message.Content }
        );
        context.Finish(new JsonObject { ["messages"] = new JsonArray([.. all]) }, _ => { });
    }

    // Reading a console cannot be cancelled, so that it is left behind when a signal comes.
    private static string? ReadLine(CommandContext context)
    {
        if (!Console.IsInputRedirected)
            context.Terminal.Write("> ");
        Task<string?> line = Task.Run(Console.In.ReadLine);
        line.Wait(context.Cancellation);
        return line.Result;
    }
}
