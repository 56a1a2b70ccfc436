using System.CommandLine;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Commands;

internal sealed class TokenizeCommand : SpectralCommand
{
    private readonly Option<string> _model = OptionTypes.RequiredPath("--model", "Folder with tokenizer.json.", "DIR");
    private readonly Option<string> _text = OptionTypes.RequiredText("--text", "Text to encode.");

    public TokenizeCommand()
        : base(
            "tokenize",
            "Shows the token ids of a text, and the text they decode to.",
            "spectral tokenize --model base-model --text \"Hello, world\""
        ) => AddOptions(_model, _text);

    public override void Execute(CommandContext context)
    {
        var tokenizer = BpeTokenizer.Load(context.Get(_model));
        context.Warn(tokenizer.Warnings);
        int[] ids = tokenizer.Encode(context.Get(_text));
        string[] tokens = [.. ids.Select(id => tokenizer.TokenOf(id) ?? "")];
        string decoded = tokenizer.Decode(ids);
        var result = new JsonObject
        {
            ["ids"] = JsonOutput.Array(ids),
            ["tokens"] = JsonOutput.Array(tokens),
            ["text"] = decoded,
        };
        context.Finish(
            result,
            terminal =>
            {
                for (int i = 0; i < ids.Length; i++)
                    terminal.Line($"{ids[i], 8}  {tokens[i]}");
                terminal.Line($"{ids.Length} tokens: {decoded}");
            }
        );
    }
}
