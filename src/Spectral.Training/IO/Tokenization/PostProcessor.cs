namespace Spectral.Training;

/// <summary>The <c>post_processor</c> of a tokenizer file: the ids it puts before and after a text.</summary>
internal sealed record PostProcessor(IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix)
{
    private static readonly PostProcessor None = new([], []);

    /// <summary>Reads a post-processor; one that adds nothing where the file has none.</summary>
    public static PostProcessor Read(JsonFields? definition)
    {
        if (definition is not { } fields)
            return None;
        switch (fields.RequiredText("type"))
        {
            case "ByteLevel":
                return None;
            case "TemplateProcessing":
                return Template(fields);
            case "Sequence":
                PostProcessor all = None;
                foreach (JsonFields part in fields.Objects("processors"))
                {
                    PostProcessor outer = Read(part);
                    all = new PostProcessor([.. outer.Prefix, .. all.Prefix], [.. all.Suffix, .. outer.Suffix]);
                }
                return all;
            default:
                throw fields.Wrong("type", "TemplateProcessing, ByteLevel or Sequence (no other post-processor is supported)");
        }
    }

    private static PostProcessor Template(JsonFields fields)
    {
        List<int> prefix = [];
        List<int> suffix = [];
        int texts = 0;
        JsonFields? specials = fields.Object("special_tokens");
        foreach (JsonFields item in fields.Objects("single"))
        {
            if (item.Has("Sequence"))
            {
                texts++;
                continue;
            }
            JsonFields token = item.Object("SpecialToken") ?? throw item.Wrong("SpecialToken", "an object, or a Sequence beside it");
            string name = token.RequiredText("id");
            JsonFields special = specials?.Object(name) ?? throw fields.Wrong("special_tokens", $"an entry for {InputText.Quote(name)}");
            (texts == 0 ? prefix : suffix).AddRange(special.IntegerOrList("ids", 0, BpeModel.LargestId)
                ?? throw special.Wrong("ids", "a list of ids"));
        }
        return texts == 1 ? new PostProcessor(prefix, suffix) : throw fields.Wrong("single", $"a template with one Sequence, not {texts}");
    }
}
