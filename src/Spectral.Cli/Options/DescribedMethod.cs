using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Options;

/// <summary>An adapter method in words and numbers, or why it does not work with the options.</summary>
internal sealed record DescribedMethod(AdapterMethod Method, MethodFacts? Facts, string? Refusal)
{
    /// <summary>The column heads for the fields of <see cref="Row"/>.</summary>
    public static IReadOnlyList<string> Columns { get; } =
    ["name", "trainable", "extra forward", "mergeable", "PEFT name", "source"];

    /// <summary>The index of the first column of text.</summary>
    public const int FirstText = 4;

    /// <summary>Describes a method on a model.</summary>
    /// <param name="method">The method.</param>
    /// <param name="model">The model's config; null: the layers are those of no model.</param>
    /// <param name="layers">The layers that the options name.</param>
    /// <param name="options">The adapter's options.</param>
    public static DescribedMethod Of(
        AdapterMethod method,
        ModelConfig? model,
        IReadOnlyList<ModuleShape> layers,
        AdapterOptions options
    )
    {
        try
        {
            if (model is not null)
                layers = AdapterTargets.Of(model, method, options);
            return new DescribedMethod(method, MethodFacts.Of(method, layers, options), null);
        }
        catch (InputException refusal)
        {
            return new DescribedMethod(method, null, refusal.Message);
        }
    }

    /// <summary>
    /// The operations that the adapter adds, in percent, and whether each step computes a weight anew.
    /// </summary>
    public string ExtraForward =>
        Facts is null
            ? "–"
            : string.Create(CultureInfo.InvariantCulture, $"{100 * Facts.ExtraForward:0.###} %")
                + (Facts.RebuildsWeight ? " + W' per step" : "");

    /// <summary>Returns whether an adapter can be merged, in words: yes, no or with a bias.</summary>
    public static string Mergeable(MethodFacts facts) =>
        facts switch
        {
            { IsMergeable: true } => "yes",
            { WantsBias: true } => "with a bias",
            _ => "no",
        };

    public string[] Row() =>
        [
            Method.Name,
            Facts?.Trainable.ToString("N0", CultureInfo.InvariantCulture) ?? "–",
            ExtraForward,
            Facts is null ? "–" : Mergeable(Facts),
            Method.PeftType,
            Refusal is { } refusal ? $"not with these options: {refusal}" : Method.Origin,
        ];

    public JsonObject ToJson(bool detail)
    {
        var json = new JsonObject
        {
            ["name"] = Method.Name,
            ["trainable_parameters"] = Facts?.Trainable,
            ["extra_forward"] = JsonOutput.Number(Facts?.ExtraForward),
            ["rebuilds_weight"] = Facts?.RebuildsWeight,
            ["mergeable"] = Facts?.IsMergeable,
            ["plain_lora"] = Facts?.IsLowRank,
            ["peft_type"] = Method.PeftType,
            ["source"] = Method.Source,
            ["published_form"] = Method.IsPublishedForm,
        };
        if (Refusal is not null)
            json["refusal"] = Refusal;
        if (!detail)
            return json;
        json["formula"] = Method.Formula;
        json["summary"] = Method.Summary;
        json["use"] = Method.Use;
        json["settings"] = new JsonArray([
            .. Method.Settings.Select(setting =>
                (JsonNode)
                    new JsonObject
                    {
                        ["name"] = setting.Name,
                        ["default"] = setting.Describe(setting.Default),
                        ["least"] = setting.Choices.Count > 0 ? null : setting.Least,
                        ["most"] = setting.Choices.Count > 0 ? null : setting.Most,
                        ["whole"] = setting.IsWhole,
                        ["choices"] = setting.Choices.Count > 0 ? JsonOutput.Array(setting.Choices) : null,
                        ["peft_key"] = setting.PeftKey,
                        ["help"] = setting.Help,
                    }
            ),
        ]);
        return json;
    }
}
