using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Register;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Cli.Commands;

internal sealed class MethodsCommand : SpectralCommand
{
    private readonly Option<string?> _model = OptionTypes.Path(
        "--model",
        "Model folder to count for; only its config is read. [default: one layer of 4096 x 4096]",
        "DIR"
    );
    private readonly Option<string?> _one = new("--adapter")
    {
        Description = "Show this method in detail.",
        HelpName = "NAME",
        CustomParser = MethodNames.One,
    };
    private readonly Option<string?> _optimizers = new("--optimizers")
    {
        Description = "List the optimizers instead, or show the one that is named in detail.",
        HelpName = "NAME",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result => result.Tokens.Count == 0 ? null : OptimizerNames.One(result),
    };
    private readonly Option<string?> _losses = new("--losses")
    {
        Description = "List the losses instead, or show the one that is named in detail.",
        HelpName = "NAME",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result => result.Tokens.Count == 0 ? null : LossNames.One(result),
    };
    private readonly Option<bool> _register = new("--register")
    {
        Description = "List the published systems that this project has, and those that it lacks.",
    };
    private readonly AdapterCommandOptions _adapter = new(trains: false);

    public MethodsCommand()
        : base(
            "methods",
            "Lists adapter methods with their cost on a model or one layer, optimizers, or losses.",
            "spectral methods --model base-model --rank 16",
            "spectral methods --adapter lora",
            "spectral methods --rank 4 --json",
            "spectral methods --optimizers",
            "spectral methods --losses dpo",
            "spectral methods --register"
        )
    {
        Details =
            "The columns, for the options given: trainable parameters; operations of the adapter's forward pass, "
            + "relative to those of the layers, and whether each step computes the weights W' anew; whether it can be "
            + "merged; its name in adapter files; its source.";
        AddOptions([_model, _one, _optimizers, _losses, _register, .. _adapter.Shared]);
    }

    public override void Execute(CommandContext context)
    {
        if (context.Get(_register))
        {
            RefuseAllBut(context, _register);
            RegisterList.Print(context);
            return;
        }

        if (context.IsGiven(_losses))
        {
            RefuseAllBut(context, _losses);
            string? named = context.Get(_losses);
            new LossList().Print(context, named is null ? null : LossMethods.Find(named));
            return;
        }

        if (context.IsGiven(_optimizers))
        {
            RefuseAllBut(context, _optimizers, _adapter.Rank);
            string? named = context.Get(_optimizers);
            new OptimizerList(context.Get(_adapter.Rank)).Print(
                context,
                named is null ? null : OptimizerMethods.Find(named)
            );
            return;
        }

        AdapterMethod[] chosen = context.Get(_one) is { } name ? [AdapterMethods.Find(name)] : [.. AdapterMethods.All];
        AdapterOptions[] options = [.. chosen.Select(method => _adapter.Read(context, method, chosen))];
        ModelConfig? model = context.Get(_model) is { } folder ? Load(context, folder) : null;
        IReadOnlyList<ModuleShape> layers = model is null ? MethodFacts.OneLayer : AdapterTargets.Of(model, options[0]);
        DescribedMethod[] described =
        [
            .. chosen.Zip(options, (method, read) => DescribedMethod.Of(method, model, layers, read)),
        ];
        if (context.Get(_one) is not null)
        {
            if (described[0].Refusal is { } refusal)
                throw new InputException($"{described[0].Method.Name}: {refusal}");
            context.Finish(
                described[0].ToJson(detail: true),
                terminal => Show(terminal, described[0], Over(context, layers))
            );
            return;
        }
        var result = new JsonObject
        {
            ["model"] = context.Get(_model),
            ["layers"] = layers.Count,
            ["methods"] = new JsonArray([.. described.Select(method => (JsonNode)method.ToJson(detail: false))]),
        };
        context.Finish(
            result,
            terminal =>
            {
                terminal.Table(
                    DescribedMethod.Columns,
                    [.. described.Select(method => method.Row())],
                    textFrom: DescribedMethod.FirstText
                );
                terminal.Line(
                    $"counted for {Over(context, layers)}; `spectral methods --adapter NAME` shows one method in detail"
                );
            }
        );
    }

    /// <summary>Refuses options that say nothing about what a list shows.</summary>
    private void RefuseAllBut(CommandContext context, Option list, params ReadOnlySpan<Option> kept)
    {
        foreach (Option option in (Option[])[_model, _one, _optimizers, _losses, .. _adapter.Shared])
        {
            if (context.IsGiven(option) && option != list && !kept.Contains(option))
            {
                throw new InputException(
                    $"{option.Name} \"{context.Text(option)}\": {list.Name} does not read it, "
                        + "so it would change nothing"
                );
            }
        }
    }

    private string Over(CommandContext context, IReadOnlyList<ModuleShape> layers) =>
        context.Get(_model) is { } folder
            ? $"{layers.Count} layers of {folder}"
            : string.Create(CultureInfo.InvariantCulture, $"one layer of {layers[0].Out} x {layers[0].In}");

    private static void Show(Terminal terminal, DescribedMethod described, string over)
    {
        AdapterMethod method = described.Method;
        MethodText.Show(
            terminal,
            method,
            (
                "trains",
                string.Create(CultureInfo.InvariantCulture, $"{described.Facts!.Trainable:N0} parameters on {over}")
            ),
            ("extra forward", described.ExtraForward),
            (
                "mergeable",
                DescribedMethod.Mergeable(described.Facts)
                    + described.Facts switch
                    {
                        { IsLowRank: true } => ", and exactly as a plain LoRA",
                        { WantsBias: true } => ", which these layers do not have",
                        _ => "",
                    }
            ),
            ("PEFT name", method.PeftType)
        );
        MethodText.ShowSettings(terminal, method.Settings);
    }

    private static ModelConfig Load(CommandContext context, string folder)
    {
        var config = ModelConfig.Load(folder);
        context.Warn(config.Warnings);
        return config;
    }
}
