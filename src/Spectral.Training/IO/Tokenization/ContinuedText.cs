using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Training;

/// <summary>
/// The steps of a tokenizer file for a text that goes on where another ended. Steps that put something before whatever
/// they are given, or take something off its beginning, do so only where a text begins: without them a completion has
/// no space that nobody wrote.
/// </summary>
internal static class ContinuedText
{
    /// <summary>A <c>normalizer</c> or <c>pre_tokenizer</c> without what it does to the beginning of a text.</summary>
    public static JsonFields? Steps(JsonFields? definition, string where)
    {
        if (definition is not { } fields)
            return null;
        JsonObject steps = JsonObject.Create(fields.Element)!;
        Change(steps);
        return new JsonFields(JsonSerializer.SerializeToElement(steps), where);
    }

    /// <summary>Whether a step puts a space, or what stands for one, before a text.</summary>
    public static bool AddsSpace(JsonFields? definition)
    {
        if (definition is not { } fields)
            return false;
        bool adds = fields.Text("type") switch
        {
            "Prepend" => true,
            // A normalizer of that type has no such key.
            "ByteLevel" => fields.Boolean("add_prefix_space") ?? false,
            "Metaspace" => fields.Text("prepend_scheme") is { } scheme
                ? scheme != "never"
                : fields.Boolean("add_prefix_space") ?? true,
            _ => false,
        };
        return adds
            || fields.Objects("normalizers").Concat(fields.Objects("pretokenizers")).Any(part => AddsSpace(part));
    }

    private static void Change(JsonObject step)
    {
        switch (step["type"]?.GetValue<string>())
        {
            case "Prepend":
                step.Clear();
                step["type"] = "Sequence";
                step["normalizers"] = new JsonArray();
                break;
            case "Strip":
                step["strip_left"] = false;
                break;
            case "ByteLevel":
                step["add_prefix_space"] = false;
                break;
            case "Metaspace":
                step["prepend_scheme"] = "never";
                break;
            case "Sequence":
                foreach (string key in (string[])["normalizers", "pretokenizers"])
                {
                    foreach (JsonNode? part in step[key] as JsonArray ?? [])
                        Change(part!.AsObject());
                }
                break;
        }
    }
}
