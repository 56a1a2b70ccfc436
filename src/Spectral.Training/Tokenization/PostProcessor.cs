using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The <c>post_processor</c> of a tokenizer file: the ids that it puts before and after a text, and around two texts.
/// </summary>
internal sealed record PostProcessor(IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix)
{
    private static readonly PostProcessor None = new([], []);

    /// <summary>The ids between two texts, after those of <see cref="Prefix"/>; null: pairs are not known.</summary>
    public IReadOnlyList<int>? Between { get; init; }

    /// <summary>The ids after the second of two texts.</summary>
    public IReadOnlyList<int> PairSuffix { get; init; } = [];

    /// <summary>Reads a post-processor. If the file has none, nothing is added.</summary>
    public static PostProcessor Read(JsonFields? definition)
    {
        if (definition is not { } fields)
            return None;
        switch (fields.RequiredText("type"))
        {
            case "BertProcessing":
                return Around(Id(fields, "cls"), Id(fields, "sep"), separators: 1);
            case "RobertaProcessing":
                return Around(Id(fields, "cls"), Id(fields, "sep"), separators: 2);
            case "ByteLevel":
                return None;
            case "TemplateProcessing":
                return Template(fields);
            case "Sequence":
                return InTurn(fields);
            default:
                throw fields.Wrong(
                    "type",
                    "BertProcessing, ByteLevel, RobertaProcessing, Sequence or "
                        + "TemplateProcessing (no other post-processor is supported)"
                );
        }
    }

    private static PostProcessor Around(int begin, int separator, int separators) =>
        new([begin], [separator]) { Between = [.. Enumerable.Repeat(separator, separators)], PairSuffix = [separator] };

    // A template splits one text into several, which the Rust core's other processors handle differently.
    private static PostProcessor InTurn(JsonFields fields)
    {
        PostProcessor all = None;
        bool closed = false;
        foreach (JsonFields part in fields.Objects("processors"))
        {
            PostProcessor outer = Read(part);
            bool adds = outer.Prefix.Count + outer.Suffix.Count > 0;
            if (adds && closed)
                throw fields.Wrong("processors", "nothing that adds tokens behind a TemplateProcessing that does");
            closed |= adds && part.Text("type") is not ("BertProcessing" or "RobertaProcessing");
            all = new PostProcessor([.. outer.Prefix, .. all.Prefix], [.. all.Suffix, .. outer.Suffix])
            {
                Between = adds ? outer.Between : all.Between,
                PairSuffix = adds ? outer.PairSuffix : all.PairSuffix,
            };
        }
        return all;
    }

    // Reads a token and its id, as in ["</s>", 2].
    private static int Id(JsonFields fields, string key) =>
        fields.Array(key) is { } pair
        && pair.GetArrayLength() == 2
        && pair[1].ValueKind == JsonValueKind.Number
        && pair[1].TryGetInt32(out int id)
        && id is >= 0 and <= TokenModel.LargestId
            ? id
            : throw fields.Wrong(key, "a token and its id in an array");

    private static PostProcessor Template(JsonFields fields)
    {
        List<int>[] single = Parts(fields, "single", "A");
        if (single.Length != 2)
            throw fields.Wrong("single", $"a template with one Sequence, not {single.Length - 1}");
        PostProcessor around = new(single[0], single[1]);
        return PairOf(fields) is [var first, var between, var last] && first.SequenceEqual(single[0])
            ? around with
            {
                Between = between,
                PairSuffix = last,
            }
            : around;
    }

    // Most models never see a pair, so that a template for pairs which is malformed is one that there is not.
    private static List<int>[] PairOf(JsonFields fields)
    {
        try
        {
            return fields.Has("pair") ? Parts(fields, "pair", "AB") : [];
        }
        catch (InputException)
        {
            return [];
        }
    }

    /// <summary>Returns the ids before, between and after the texts of a template.</summary>
    /// <param name="fields">The template.</param>
    /// <param name="key">The key of its list.</param>
    /// <param name="texts">The names of the texts in their order.</param>
    private static List<int>[] Parts(JsonFields fields, string key, string texts)
    {
        List<List<int>> parts =
        [
            [],
        ];
        JsonFields? specials = fields.Object("special_tokens");
        foreach (JsonFields item in fields.Objects(key))
        {
            if (item.Object("Sequence") is { } sequence)
            {
                string expected = texts[Math.Min(parts.Count, texts.Length) - 1].ToString();
                if (sequence.Text("id") is { } id && id != expected)
                    throw sequence.Wrong("id", expected);
                parts.Add([]);
                continue;
            }
            JsonFields token =
                item.Object("SpecialToken") ?? throw item.Wrong("SpecialToken", "an object, or a Sequence beside it");
            string name = token.RequiredText("id");
            JsonFields special =
                specials?.Object(name) ?? throw fields.Wrong("special_tokens", $"an entry for {InputText.Quote(name)}");
            parts[^1]
                .AddRange(
                    special.IntegerOrList("ids", 0, TokenModel.LargestId) ?? throw special.Wrong("ids", "a list of ids")
                );
        }
        return [.. parts];
    }
}
