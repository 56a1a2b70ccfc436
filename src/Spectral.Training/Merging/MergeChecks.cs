using System.Globalization;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging;

/// <summary>Checks a merge's options before anything is opened.</summary>
internal static class MergeChecks
{
    /// <summary>Checks that the options suit the method and the number of inputs.</summary>
    /// <exception cref="InputException">One does not; the message names it.</exception>
    public static void Require(
        ModelConfig model,
        MergeMethod method,
        IReadOnlyList<MergeInput> inputs,
        MergeOptions options
    )
    {
        if (options.Output is not null && method is not OneModelMerge)
            throw new InputException($"{method.Name} keeps the inputs apart; there is no one model to quantise");
        RequireCount(method, inputs.Count);
        RequireData(method, inputs.Count, options);
        RequireUsed(method, MergeUses.Weights, inputs.Any(input => input.Weight is not null), "weights of its inputs");
        RequireUsed(method, MergeUses.Density, options.Density is not null, "density");
        if (options.Density is not (null or (> 0 and <= 1)))
        {
            throw new InputException(
                string.Create(CultureInfo.InvariantCulture, $"density {options.Density}: expected above 0, at most 1")
            );
        }

        if (inputs.FirstOrDefault(input => input.Weight is { } weight && !double.IsFinite(weight)) is { } odd)
            throw new InputException($"{odd.Directory}: weight {odd.Weight}, expected a finite number");
        if (options.Layers is not null && method is not OneModelMerge)
            throw new InputException($"{method.Name} keeps whole inputs, expected no list of layers");
        foreach (int layer in options.Layers ?? [])
        {
            if (layer < 0 || layer >= model.Layers)
                throw new InputException($"layer {layer}: the model has layers 0 to {model.Layers - 1}");
        }

        string[] texts = [.. method.TextSettings.Select(setting => setting.Name)];
        GivenSettings.Require(method, options.Settings, texts);
        if (options.Texts.Keys.FirstOrDefault(name => !texts.Contains(name)) is { } unknown)
            throw GivenSettings.Unknown(method, unknown, texts);
        if (method.TextSettings.FirstOrDefault(IsMissing) is { } missing)
        {
            throw new InputException(
                $"{method.Name} needs its setting {missing.Name}={missing.Placeholder}: {missing.Help}"
            );
        }

        bool IsMissing(TextSetting setting) => setting.IsRequired && !options.Texts.ContainsKey(setting.Name);
    }

    private static void RequireCount(MergeMethod method, int count)
    {
        if (count >= method.LeastInputs && count <= method.MostInputs)
            return;
        string expected = (method.LeastInputs, method.MostInputs) switch
        {
            (var least, int.MaxValue) => $"at least {least}",
            var (least, most) when least == most => $"{least}",
            var (least, most) => $"{least} to {most}",
        };
        string inputs = method.LeastInputs == 1 ? "input" : "inputs";
        throw new InputException($"{method.Name}: {Given(count)}, expected {expected} {inputs}");
    }

    private static string Given(int count) => count == 1 ? "1 input is given" : $"{count} inputs are given";

    private static void RequireData(MergeMethod method, int inputs, MergeOptions options)
    {
        int given = options.Data.Count;
        bool suits = method.Data switch
        {
            MergeData.None => given == 0,
            MergeData.Shared => given > 0,
            _ => given == inputs,
        };
        if (!suits)
        {
            throw new InputException(
                method.Data switch
                {
                    MergeData.None => $"{method.Name} looks at weights alone, expected no data",
                    MergeData.Shared => $"{method.Name} runs models on data, expected a file of records",
                    _ => $"{method.Name} needs data of each input, expected {inputs} files of records, one for each "
                        + $"input in their order; {given} are given",
                }
            );
        }

        for (int i = 0; i < given; i++)
        {
            if (options.Data[i].Count == 0)
                throw new InputException($"{method.Name}: data {i + 1} of {given} has no records");
        }
    }

    private static void RequireUsed(MergeMethod method, MergeUses use, bool isGiven, string what)
    {
        if (isGiven && !method.Uses.HasFlag(use))
            throw new InputException($"{method.Name} has no {what}; see spectral merge --list");
    }
}
