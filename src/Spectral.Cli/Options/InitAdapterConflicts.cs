using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Options;

/// <summary>Refuses options that contradict the adapter given by --init-adapter.</summary>
internal static class InitAdapterConflicts
{
    /// <summary>Checks that every option given on the command line says what the adapter already is.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="adapter">Its options for adapters.</param>
    /// <param name="model">The model that the adapter is attached to.</param>
    /// <param name="start">The adapter to start from.</param>
    /// <param name="tokenizer">The model's tokenizer, for the tokens of --train-tokens.</param>
    /// <exception cref="InputException">An option says otherwise.</exception>
    public static void Refuse(
        CommandContext context,
        AdapterCommandOptions adapter,
        ModelConfig model,
        Adapter start,
        BpeTokenizer tokenizer
    )
    {
        if (context.Get(adapter.Previous) is { } directory)
            throw new InputException($"--previous-adapter \"{directory}\" and --init-adapter: expected one of the two");
        foreach (
            Option begins in new Option[]
            {
                adapter.Svd,
                adapter.PromptText,
                adapter.CalibrationRecords,
                adapter.CalibrationData,
            }
        )
        {
            if (context.IsGiven(begins))
            {
                throw new InputException(
                    $"{begins.Name} \"{context.Text(begins)}\": the adapter given by "
                        + "--init-adapter is already initialized, so it would change nothing"
                );
            }
        }

        Require(adapter.Name, context.Get(adapter.Name) == start.Method.Name, start.Method.Name);
        AdapterOptions has = start.Options;
        AdapterOptions wanted = adapter.Read(context, start.Method);
        Require(adapter.Rank, wanted.Rank == has.Rank, Text(has.Rank));
        Require(adapter.Alpha, wanted.Alpha == has.Alpha, Text(has.Alpha));
        Require(
            adapter.RankStabilized,
            wanted.RankStabilized == has.RankStabilized,
            has.RankStabilized ? "the scale alpha/√rank" : "the scale alpha/rank"
        );
        Require(
            adapter.Bias.Option,
            wanted.Bias == has.Bias && wanted.BiasModules.ToHashSet().SetEquals(has.BiasModules),
            BiasNames.Of(has)
        );
        Require(
            adapter.RankPattern.Option,
            start.Modules.All(module => wanted.For(module.Shape.Name).Rank == module.Options.Rank),
            "other ranks"
        );
        Require(
            adapter.AlphaPattern.Option,
            start.Modules.All(module => wanted.For(module.Shape.Name).Alpha == module.Options.Alpha),
            "other alphas"
        );
        Require(adapter.TopK, wanted.TopK == has.TopK, Text(has.TopK));
        Require(adapter.Dropout, wanted.Dropout == has.Dropout, Text(has.Dropout));
        Require(
            adapter.Settings.Option,
            wanted.Settings.All(given => has.Setting(start.Method, given.Key) == given.Value),
            Settings(start)
        );
        RequirePrompt();
        bool isSameWhole = adapter.ModulesToSave(context).ToHashSet().SetEquals(has.ModulesToSave);
        Require(adapter.TrainAlso, isSameWhole, AdapterDescription.Listed(has.ModulesToSave));
        Require(adapter.KeepTied, context.Get(adapter.KeepTied) == has.KeepTied, has.KeepTied ? "yes" : "no");
        string tokens = AdapterDescription.Listed(has.TrainableTokens);
        bool isSameTokens = AdapterDescription.Listed(adapter.TrainTokens.Read(context, tokenizer)) == tokens;
        Require(adapter.TrainTokens.Option, isSameTokens, tokens);
        Require(
            adapter.Invocation,
            adapter.InvocationTokens(context, tokenizer).SequenceEqual(has.InvocationTokens),
            $"the tokens {string.Join(',', has.InvocationTokens)}"
        );
        bool isSameLayers = IsTargets(wanted, model, start);
        Require(adapter.Target, isSameLayers, string.Join(',', has.TargetModules));
        Require(adapter.TargetParameters, isSameLayers, AdapterDescription.Listed(has.TargetParameters));

        void RequirePrompt()
        {
            if (!context.IsGiven(adapter.SoftPrompt.Name))
                return;
            SoftPrompt? found = has.SoftPrompt;
            SoftPrompt? given = adapter.SoftPrompt.Read(context, start.Method);
            Require(
                adapter.SoftPrompt.Name,
                given?.Method == found?.Method && given?.VirtualTokens == found?.VirtualTokens,
                found is null ? "no soft prompt" : $"{found.VirtualTokens} virtual tokens of {found.Method.Name}"
            );
        }

        void Require(Option option, bool same, string found)
        {
            if (context.IsGiven(option) && !same)
            {
                throw new InputException(
                    $"{option.Name} \"{context.Text(option)}\": the adapter given by --init-adapter has "
                        + $"{found}; expected the same or no {option.Name}"
                );
            }
        }
    }

    /// <summary>Whether the targets wanted are the layers that the adapter has, however they are spelled.</summary>
    private static bool IsTargets(AdapterOptions wanted, ModelConfig model, Adapter start)
    {
        var named = new AdapterOptions
        {
            TargetModules = wanted.TargetModules,
            TargetParameters = wanted.TargetParameters,
            ModulesToSave = start.Options.ModulesToSave,
        };
        return AdapterTargets
            .Of(model, named)
            .Select(layer => layer.Name)
            .ToHashSet()
            .SetEquals(start.Modules.Select(module => module.Shape.Name));
    }

    private static string Settings(Adapter adapter) =>
        string.Join(
            ' ',
            adapter.Method.Settings.Select(setting =>
                $"{setting.Name}={setting.Describe(adapter.Options.Setting(adapter.Method, setting.Name))}"
            )
        );

    private static string Text(double number) => number.ToString(CultureInfo.InvariantCulture);
}
