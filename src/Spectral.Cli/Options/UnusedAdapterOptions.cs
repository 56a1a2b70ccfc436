using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>Refuses options that none of the methods on the command line uses.</summary>
internal static class UnusedAdapterOptions
{
    /// <summary>Checks that every option given for new adapters changes something in at least one of them.</summary>
    /// <exception cref="InputException">An option changes nothing.</exception>
    public static void Refuse(
        CommandContext context,
        AdapterCommandOptions adapter,
        params IReadOnlyList<MethodFacts> methods
    )
    {
        Require(adapter.Rank, nameof(AdapterOptions.Rank), "has no rank");
        Require(adapter.RankPattern.Option, nameof(AdapterOptions.Rank), "has no rank");
        Require(adapter.Alpha, nameof(AdapterOptions.Alpha), "has no scale");
        Require(adapter.AlphaPattern.Option, nameof(AdapterOptions.Alpha), "has no scale");
        Require(adapter.RankStabilized, nameof(AdapterOptions.RankStabilized), "has no scale alpha/rank");
        Require(adapter.PromptText, nameof(AdapterOptions.PromptText), "starts from no text");
        Require(adapter.Invocation, nameof(AdapterOptions.InvocationTokens), "is not activated by a text");
        Require(adapter.TopK, nameof(AdapterOptions.TopK), "rescales no singular values");
        Require(adapter.Dropout, nameof(AdapterOptions.Dropout), "has no dropout");
        Require(
            adapter.LearningRateRatio,
            nameof(AdapterOptions.LearningRateRatio),
            "has no factors with two learning rates"
        );
        Require(adapter.Svd, nameof(AdapterOptions.Svd), "offers no choice of SVD");
        if (context.Get(adapter.Bias.Option) != BiasNames.None)
            Require(adapter.Bias.Option, nameof(AdapterOptions.Bias), "has no layer with a bias in this model");
        foreach (Option option in new Option[] { adapter.CalibrationRecords, adapter.CalibrationData })
        {
            if (context.IsGiven(option) && !methods.Any(facts => facts.Method.StartsFromData))
                throw Unused(option, "does not start from data");
        }

        void Require(Option option, string name, string reason)
        {
            if (context.IsGiven(option) && !methods.Any(facts => facts.UsedOptions.Contains(name)))
                throw Unused(option, reason);
        }

        InputException Unused(Option option, string reason)
        {
            string who = methods.Count == 1 ? methods[0].Method.Name : "each of these methods";
            return new InputException(
                $"{option.Name} \"{context.Text(option)}\": {who} {reason}, so it would change nothing"
            );
        }
    }
}
