using System.Globalization;
using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Reads from a <c>config.json</c> whether its model has a head for classes, as transformers does: the class under
/// <c>architectures</c> says so, <c>id2label</c> or <c>num_labels</c> how many there are.
/// </summary>
internal static class ClassifierKeys
{
    private const string Architectures = "architectures";
    private const string Names = "id2label";
    private const string Count = "num_labels";
    private const string Problem = "problem_type";
    private const int MaximumLabels = 1 << 16;
    private const int DefaultLabels = 2;

    private static readonly (string End, ClassifierKind Kind)[] Ends =
    [
        ("ForSequenceClassification", ClassifierKind.Sequence),
        ("ForTokenClassification", ClassifierKind.Tokens),
    ];

    /// <summary>Reads the head; null: the model predicts tokens.</summary>
    /// <exception cref="InputException">
    /// The family has no such head or needs one, or a key has an impossible value.
    /// </exception>
    public static ClassifierConfig? Read(JsonFields fields, ModelFamily family)
    {
        string? architecture = fields.Texts(Architectures) is [var first, ..] ? first : null;
        ClassifierKind? found = Ends.Where(each => architecture?.EndsWith(each.End, StringComparison.Ordinal) ?? false)
            .Select(each => (ClassifierKind?)each.Kind)
            .FirstOrDefault();
        if (found is not { } kind)
        {
            return family.SeesAhead
                ? throw fields.Wrong(
                    Architectures,
                    $"{family.Architecture} or …ForTokenClassification, with the classes in {Names}; a head that the "
                        + "weights lack starts afresh"
                )
                : null;
        }

        if (family.LayoutOf(kind) is null)
            throw fields.Wrong(Architectures, $"no classes of words, which {family.ModelType} has no head for here");
        IReadOnlyList<string> labels = Labels(fields);
        string? problem = fields.Text(Problem);
        if (problem is not (null or "regression" or "single_label_classification"))
            throw fields.Wrong(Problem, "regression or single_label_classification (no other is supported)");
        bool isRegression =
            kind == ClassifierKind.Sequence && (problem ?? "regression") == "regression" && labels.Count == 1;
        if (problem == "regression" && !isRegression)
            throw fields.Wrong(Problem, $"one label for the number of a text, not {labels.Count}");
        if (labels.Count == 1 && !isRegression)
            throw fields.Wrong(fields.Has(Names) ? Names : Count, "two classes or more");
        return new ClassifierConfig
        {
            Kind = kind,
            Labels = labels,
            IsRegression = isRegression,
        };
    }

    /// <summary>Writes the keys that a config lacks, as a config does that was read from no file.</summary>
    public static void Write(ModelConfig config, Utf8JsonWriter json)
    {
        if (config.Classifier is not { } classifier || config.OtherKeys.ContainsKey(Architectures))
            return;
        string name = config.Family.Architecture;
        json.WriteStartArray(Architectures);
        json.WriteStringValue(
            name[..name.LastIndexOf("For", StringComparison.Ordinal)]
                + Ends.First(each => each.Kind == classifier.Kind).End
        );
        json.WriteEndArray();
        json.WriteStartObject(Names);
        for (int id = 0; id < classifier.Labels.Count; id++)
            json.WriteString(id.ToString(CultureInfo.InvariantCulture), classifier.Labels[id]);
        json.WriteEndObject();
    }

    private static IReadOnlyList<string> Labels(JsonFields fields)
    {
        if (fields.Object(Names) is not { } names)
        {
            int count = fields.Integer(Count, 1, MaximumLabels) ?? DefaultLabels;
            return [.. Enumerable.Range(0, count).Select(label => $"LABEL_{label}")];
        }

        Dictionary<int, string> byId = [];
        foreach (JsonProperty entry in names.Element.EnumerateObject())
        {
            if (
                !int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                || id >= MaximumLabels
                || entry.Value.ValueKind != JsonValueKind.String
                || !byId.TryAdd(id, entry.Value.GetString()!)
            )
            {
                throw fields.Wrong(Names, "an object that maps numbers from 0 to names");
            }
        }

        if (byId.Count == 0 || byId.Keys.Max() != byId.Count - 1)
            throw fields.Wrong(Names, "numbers from 0 without gaps");
        return [.. Enumerable.Range(0, byId.Count).Select(id => byId[id])];
    }
}
