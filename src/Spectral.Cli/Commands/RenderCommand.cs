using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Training.Chat;

namespace Spectral.Cli.Commands;

internal sealed class RenderCommand : SpectralCommand
{
    private readonly Option<string> _model = OptionTypes.RequiredPath(
        "--model",
        "Model folder with a chat template.",
        "DIR"
    );
    private readonly Option<string> _messages = OptionTypes.RequiredPath(
        "--messages",
        "JSON object with messages and any further variables of the template: tools, documents, add_generation_prompt, "
            + "continue_final_message and others.",
        "FILE"
    );
    private readonly Option<string?> _template = OptionTypes.OptionalText(
        "--template",
        "Name of the template, if the folder has several.",
        "NAME"
    );

    public RenderCommand()
        : base(
            "render",
            "Shows the text that a model's chat template makes of a conversation.",
            "spectral render --model base-model --messages chat.json"
        ) => AddOptions(_model, _messages, _template);

    public override void Execute(CommandContext context)
    {
        var format = ChatFormat.Load(context.Get(_model));
        var conversation = Conversation.Load(context.Get(_messages));
        string text = format.Render(conversation, template: context.Get(_template)).Text;
        context.Finish(new JsonObject { ["text"] = text }, terminal => terminal.Line(text));
    }
}
