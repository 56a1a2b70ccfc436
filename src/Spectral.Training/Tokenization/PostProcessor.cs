using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>The <c>post_processor</c> of a tokenizer file: the ids that it puts before and after a text.</summary>
internal sealed record PostProcessor(IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix)
{
    private static readonly PostProcessor None = new([], []);

    /// <summary>Reads a post-processor. If the file has none, nothing is added.</summary>
    public static PostProcessor Read(JsonFields? definition)
    {
        if (definition is not { } fields)
            return None;
        switch (fields.RequiredText("type"))
        {
            case "BertProcessing" or "RobertaProcessing":
                return new PostProcessor([Id(fields, "cls")], [Id(fields, "sep")]);
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
            all = new PostProcessor([.. outer.Prefix, .. all.Prefix], [.. all.Suffix, .. outer.Suffix]);
        }
        return all;
    }

    // Reads a token and its id, as in ["</s>", 2].
    private static int Id(JsonFields fields, string key) =>
        fields.Array(key) is { } pair
        && pair.GetArrayLength() == 2
        && pair[1].ValueKind == JsonValueKind.Number
        && pair[1].TryGetInt32(out int id)
        && id is >= 0 and <= BpeModel.LargestId
            ? id
            : throw fields.Wrong(key, "a token and its id in an array");

    private static PostProcessor Template(JsonFields fields)
    {
        List<int> prefix = [];
        List<int> suffix = [];
        int texts = 0;
        JsonFields? specials = fields.Object("special_tokens");
        foreach (JsonFields item in fields.Objects("single"))
        {
            if (item.Object("Sequence") is { } sequence)
            {
                if (sequence.Text("id") is not (null or "A"))
                    throw sequence.Wrong("id", "A");
                texts++;
                continue;
            }
            JsonFields token =
                item.Object("SpecialToken") ?? throw item.Wrong("SpecialToken", "an object, or a Sequence beside it");
            string name = token.RequiredText("id");
            JsonFields special =
                specials?.Object(name) ?? throw fields.Wrong("special_tokens", $"an entry for {InputText.Quote(name)}");
            (texts == 0 ? prefix : suffix).AddRange(
                special.IntegerOrList("ids", 0, BpeModel.LargestId) ?? throw special.Wrong("ids", "a list of ids")
            );
        }
        return texts == 1
            ? new PostProcessor(prefix, suffix)
            : throw fields.Wrong("single", $"a template with one Sequence, not {texts}");
    }
}
