using System.Text.Json;
using System.Text.RegularExpressions;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters.Methods;

/// <summary>IA3: trained factors on outputs or inputs. A bias is scaled together with its output.</summary>
internal sealed class Ia3Method : AdapterMethod
{
    private const string Scale = "ia3_l";
    private const string FeedForward = "feedforward_modules";

    public override string Name => "ia3";
    public override string Formula => "diag(l)·W, or W·diag(l) for the layer that ends a feed-forward block";
    public override string Source => "Liu et al., 2022, arXiv 2205.05638";
    public override string Use => "One number per output (or input): small, fast, and mergeable.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        new("feedforward_modules") { Read = ReadFeedForward, Write = WriteFeedForward },
        .. PeftField.Ignored("init_ia3_weights"),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        string name = layer.Module.Name;
        if (layer.Options.FeedForward?.Matches(name) ?? ModelFamilies.IsFeedForwardOutput(name))
            return new AdapterForm { InputScale = layer.Trained(Scale, (1, layer.In), Start.Ones) };
        Factor scale = layer.Trained(Scale, (layer.Out, 1), Start.Ones);
        return new AdapterForm
        {
            OutputScale = scale,
            Bias = layer.Bias?.Multiply(scale.Reshape(layer.Out), Broadcast.PerElement),
        };
    }

    private static AdapterOptions ReadFeedForward(JsonFields fields, AdapterOptions options) =>
        fields.Find(FeedForward) switch
        {
            null => options,
            { ValueKind: JsonValueKind.String } text => options with
            {
                FeedForward = FeedForwardModules.Parse(text.GetString()!, FeedForward),
            },
            _ => options with { FeedForward = FeedForwardModules.Of(fields.Texts(FeedForward)!) },
        };

    /// <summary>
    /// Writes feedforward_modules. PEFT requires items of a list to be among target_modules; otherwise an expression is
    /// written, which has no such restriction.
    /// </summary>
    private static void WriteFeedForward(Utf8JsonWriter json, AdapterOptions options)
    {
        if (options.FeedForward?.Text is { } text)
        {
            json.WriteString(FeedForward, text);
            return;
        }
        IReadOnlyList<string> endings =
            options.FeedForward?.Endings ?? [.. options.TargetModules.Where(ModelFamilies.IsFeedForwardOutput)];
        if (!endings.All(options.TargetModules.Contains))
        {
            json.WriteString(FeedForward, $".*(?:{string.Join('|', endings.Select(Regex.Escape))})");
            return;
        }
        json.WriteStartArray(FeedForward);
        foreach (string ending in endings)
            json.WriteStringValue(ending);
        json.WriteEndArray();
    }
}
